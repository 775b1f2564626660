package act

import (
	"context"
	"io"
	"time"

	"github.com/choba-os/choba/keys/escrow"
	"github.com/choba-os/choba/keys/seal"
	"github.com/choba-os/choba/recovery/redeploy"
)

// Machine is the register as the actions see it. A nil function or interface means
// that the register has no such thing.
type Machine struct {
	Register redeploy.Register
	ID       string        // the register's name for people (keys/ticket.Name)
	Data     redeploy.Part // the data partition, encrypted
	Sticks   Sticks
	Net      Net
	TPM      func() (TPM, error)

	Watchdog func() (string, error) // what guards this run
	USB      func() ([]string, error)
	Screens  func() []string
	Now      func() time.Time
	Say      func(string) // one line on the console
}

// Sticks are the USB sticks of the register. ErrNoStick when none is plugged in.
type Sticks interface {
	Open(ctx context.Context, write bool) (Stick, error)
}

// Stick is an open stick with a FAT volume.
type Stick interface {
	redeploy.Folder
	Name() string
	// Free is the room for new files, in bytes.
	Free() (int64, error)
	// Create adds a file to the root folder.
	Create(name string, content io.Reader, n int64) error
	Close() error
}

// Net is the wire to the vendor's server.
type Net interface {
	// Connect gets an address and the server; say is what a person may read.
	Connect(ctx context.Context, s Setup) (server redeploy.Server, say string, err error)
	// Cards says for each network card whether a cable is in it.
	Cards() ([]Card, error)
}

// Card is a network card.
type Card struct {
	Name  string
	Cable bool
}

// TPM is the security chip; *seal.TPM is one.
type TPM interface {
	escrow.Sealer
	Choice() (seal.Digest, error)
	Floor() (uint64, error)
	Clear() error
	Close() error
}
