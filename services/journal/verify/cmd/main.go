// Command choba-verify checks a journal's folder and says in plain words what is wrong with it, where, and since
// when. It only reads.
//
//	choba-verify [-lang ja|en] [-device KEY] [-head FILE] FOLDER
//
// It exits with 0 when the log is good, 1 when it is damaged, 2 when it was called wrongly or could not read.
//
// It is a main and nothing else. The rule that keeps it small: what is found is package verify's.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/choba-os/choba/services/journal/checkpoint"
	"github.com/choba-os/choba/services/journal/verify"
)

// errDamaged is the one error that is not about the call.
var errDamaged = errors.New("the journal is damaged")

func main() {
	err := run(os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	switch {
	case err == nil:
	case errors.Is(err, errDamaged):
		os.Exit(1)
	default:
		fmt.Fprintf(os.Stderr, "choba-verify: %v\n", err)
		os.Exit(2)
	}
}

func run(args []string, env func(string) string, out, usage io.Writer) error {
	flags := flag.NewFlagSet("choba-verify", flag.ContinueOnError)
	flags.SetOutput(usage)
	lang := flags.String("lang", language(env), "language of the answer: ja or en")
	device := flags.String("device", "", "the device key that the log must be signed for")
	head := flags.String("head", "", "file with a signed head of the log that was kept elsewhere")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 || *lang != string(verify.Japanese) && *lang != string(verify.English) {
		flags.Usage()
		return errors.New("want one folder, and -lang ja or en")
	}
	opt := verify.Options{Device: *device}
	if *head != "" {
		text, err := os.ReadFile(*head)
		if err != nil {
			return err
		}
		tree, err := checkpoint.Read(text)
		if err != nil {
			return err
		}
		opt.Head = &tree
	}
	report, err := verify.Folder(flags.Arg(0), opt)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(out, report.Write(verify.Lang(*lang))); err != nil {
		return err
	}
	if !report.Good() {
		return errDamaged
	}
	return nil
}

// language is the one that the environment asks for, English when it asks for none of ours.
func language(env func(string) string) string {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := env(name); v != "" {
			if strings.HasPrefix(v, string(verify.Japanese)) {
				return string(verify.Japanese)
			}
			break
		}
	}
	return string(verify.English)
}
