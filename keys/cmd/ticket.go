package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/choba-os/choba/keys/ticket"
)

// maxDays is the longest that a ticket may be good for.
const maxDays = 30

// tickets makes a ticket, or adds a person's signature to one. Each of two persons
// signs on a machine of their own; the file goes from one to the other.
func tickets(args []string, now time.Time, out io.Writer) error {
	if len(args) > 0 && args[0] == "make" {
		return makeTicket(args[1:], now, out)
	}
	if len(args) > 0 && args[0] == "sign" {
		return signTicket(args[1:], out)
	}
	return errors.New("ticket: say make or sign")
}

func makeTicket(args []string, now time.Time, out io.Writer) error {
	flags := flag.NewFlagSet("ticket make", flag.ContinueOnError)
	action := flags.String("action", string(ticket.FactoryReset), "what it allows")
	register := flags.String("register", "", "the register's number, as its screen shows it")
	nonce := flags.String("nonce", "", "the second number on its screen")
	days := flags.Int("days", 3, "days that it is good for, at most 30")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 || *days < 1 || *days > maxDays {
		return errors.New("ticket make: want one file to write, and 1 to 30 days")
	}
	t := ticket.Ticket{Action: ticket.Action(*action), Register: strings.ToUpper(*register), Nonce: strings.ToUpper(*nonce),
		NotAfter: now.UTC().Truncate(time.Second).AddDate(0, 0, *days)}
	text, err := t.Encode()
	if err != nil {
		return err
	}
	if err := os.WriteFile(flags.Arg(0), text, 0o600); err != nil {
		return fmt.Errorf("writing ticket: %w", err)
	}
	_, err = fmt.Fprintf(out, "%sNobody has signed it yet.\n", text)
	return err
}

func signTicket(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("ticket sign", flag.ContinueOnError)
	key := flags.String("key", "", "file with the private half of a service key (a signed note's)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 || *key == "" {
		return errors.New("ticket sign: want -key and one file to sign")
	}
	skey, err := os.ReadFile(*key)
	if err != nil {
		return fmt.Errorf("reading service key: %w", err)
	}
	signer, err := note.NewSigner(strings.TrimSpace(string(skey)))
	if err != nil {
		return fmt.Errorf("reading service key: %w", err)
	}
	file, err := os.ReadFile(flags.Arg(0))
	if err != nil {
		return fmt.Errorf("reading ticket: %w", err)
	}
	signed, t, err := addSignature(file, signer)
	if err != nil {
		return err
	}
	if err := os.WriteFile(flags.Arg(0), signed, 0o600); err != nil {
		return fmt.Errorf("writing ticket: %w", err)
	}
	_, err = fmt.Fprintf(out, "%s has signed: %s of register %s until %s\n", signer.Name(), t.Action, t.Register, t.NotAfter.Format(time.RFC3339))
	return err
}

// addSignature keeps the signatures that are there, and refuses a second one of the same person.
func addSignature(file []byte, signer note.Signer) ([]byte, ticket.Ticket, error) {
	n := &note.Note{Text: string(file)}
	var stranger *note.UnverifiedNoteError
	if _, err := note.Open(file, note.VerifierList()); errors.As(err, &stranger) {
		n = stranger.Note
	}
	t, err := ticket.Parse([]byte(n.Text))
	if err != nil {
		return nil, t, err
	}
	for _, s := range n.UnverifiedSigs {
		if s.Name == signer.Name() {
			return nil, t, fmt.Errorf("signing ticket: %s has signed already; a second person must", s.Name)
		}
	}
	signed, err := note.Sign(n, signer)
	if err != nil {
		return nil, t, fmt.Errorf("signing ticket: %w", err)
	}
	return signed, t, nil
}
