package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"filippo.io/age"

	"github.com/choba-os/choba/keys/escrow"
)

// maxEscrow is far above what a register writes, in bytes.
const maxEscrow = 64 << 10

// showCode is "choba-keys escrow -identity FILE BLOB": the recovery code of the
// register whose exported file BLOB (NAME.age on the stick) is. BLOB may also be the
// whole escrow block. It is the one command that prints a secret, for a person who
// then tells it on the telephone.
func showCode(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("keys escrow", flag.ContinueOnError)
	identity := flags.String("identity", "", "the vendor's escrow identity, as age-keygen writes it (development: escrow.key)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *identity == "" || flags.NArg() != 1 {
		return errors.New("escrow: want -identity FILE BLOB")
	}
	ids, err := readIdentities(*identity)
	if err != nil {
		return err
	}
	file, err := readShort(flags.Arg(0))
	if err != nil {
		return err
	}
	if block, err := escrow.Parse(bytes.TrimRight(file, "\x00")); err == nil {
		file = block.Vendor()
		if block.Used > 0 {
			fmt.Fprintf(out, "used      %d times, last %s\n", block.Used, time.Unix(block.Last, 0).UTC().Format(time.RFC3339))
		}
	}
	var problems error
	for _, id := range ids {
		letter, err := escrow.OpenLetter(file, id)
		if err == nil {
			fmt.Fprintf(out, "register  %x\ncode      %s\n", letter.Identity, letter.Code)
			return nil
		}
		problems = errors.Join(problems, err)
	}
	return problems
}

func readIdentities(path string) ([]age.Identity, error) {
	text, err := readShort(path)
	if err != nil {
		return nil, err
	}
	ids, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("reading identity %s: %w", path, err)
	}
	return ids, nil
}

func readShort(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxEscrow+1))
	if err == nil && len(b) > maxEscrow {
		err = fmt.Errorf("reading %s: more than %d bytes", path, maxEscrow)
	}
	return b, err
}
