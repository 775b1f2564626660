// Package serve answers the callers of the port guard.
//
// It is not the guard and decides nothing about devices. The rule that keeps it small: one handler
// for each path of the api, and the table of who may have which role.
package serve

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/choba-os/choba/services/link"
	"github.com/choba-os/choba/services/ports/api"
	"github.com/choba-os/choba/services/ports/guard"
)

// claimant is the one service that may have a role.
func claimant(role string) string {
	switch role {
	case api.RoleScanner:
		return "scanner"
	case api.RolePrinter:
		return "printer"
	case api.RoleTouch, api.RoleKeyboard:
		return "screen"
	case api.RoleStick:
		return "stick"
	}
	return ""
}

// Handler answers for a guard.
func Handler(g *guard.Guard, log *logrus.Entry) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/devices", func(w http.ResponseWriter, _ *http.Request) { link.Reply(w, g.Devices()) })
	mux.HandleFunc("POST /v1/claim", func(w http.ResponseWriter, r *http.Request) { claim(g, log, w, r) })
	return mux
}

func claim(g *guard.Guard, log *logrus.Entry, w http.ResponseWriter, r *http.Request) {
	var req api.ClaimRequest
	if !link.Read(w, r, &req) {
		return
	}
	caller := link.Caller(r)
	switch who := claimant(req.Role); {
	case who == "":
		link.Refuse(w, link.BadRequest, fmt.Sprintf("there is no role %q", req.Role))
		return
	case who != caller:
		link.Refuse(w, link.Denied, fmt.Sprintf("%s may not have a %s", caller, req.Role))
		return
	}
	c, err := g.Claim(r.Context(), req.Role)
	if err != nil {
		link.Refuse(w, link.Unavailable, "waiting for a device: "+err.Error())
		return
	}
	defer c.Release()
	log = log.WithFields(logrus.Fields{"caller": caller, "role": c.Role, "device": c.Device})
	conn, err := link.Hijack(w)
	if err != nil {
		log.WithError(err).Error("device not handed over")
		return
	}
	defer func() { _ = conn.Close() }()
	if err := hand(conn, c); err != nil {
		log.WithError(err).Error("device not handed over")
		return
	}
	log.Info("device handed over")
	hold(conn, c)
	log.Info("device given back")
}

// hand sends the answer and, with its first byte, the file.
func hand(conn *net.UnixConn, c *guard.Claim) error {
	line, err := json.Marshal(api.Handed{Role: c.Role, Device: c.Device, Kind: c.Kind})
	if err != nil {
		return err
	}
	answer := fmt.Sprintf("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n%s\n", api.Protocol, line)
	return withFile(c.File, func(fd int) error {
		_, _, err := conn.WriteMsgUnix([]byte(answer), unix.UnixRights(fd), nil)
		if err != nil {
			return fmt.Errorf("handing over the device: %w", err)
		}
		return nil
	})
}

// withFile lends the file's number without changing its mode, as Fd would.
func withFile(f *os.File, fn func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var ferr error
	if err := raw.Control(func(fd uintptr) { ferr = fn(int(fd)) }); err != nil {
		return err
	}
	return ferr
}

// hold waits until the claimant hangs up or the device is gone.
func hold(conn *net.UnixConn, c *guard.Claim) {
	left := make(chan struct{})
	go func() {
		defer close(left)
		_, _ = io.Copy(io.Discard, conn)
	}()
	select {
	case <-left:
	case <-c.Gone:
		_ = conn.Close()
		<-left
	}
}
