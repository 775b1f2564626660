package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/choba-os/choba/services/journal/verify"
)

// journal verifies the register's log with the product's own verifier and lists
// the entries that the tests look for.
func journal() []string {
	var last string
	for range 5 { // a copy may catch the journal in the middle of a write
		dir, err := copyLog()
		if err != nil {
			return []string{"journal: copying it: " + err.Error()}
		}
		r, err := verify.Folder(dir, verify.Options{})
		switch {
		case err != nil:
			last = "journal: " + err.Error()
		case r.Good():
			return append([]string{fmt.Sprintf("journal: whole, %d entries, %d sessions", r.Entries, r.Sessions)}, entries(dir)...)
		default:
			last = "journal: damaged: " + r.Write(verify.English)
		}
		time.Sleep(time.Second)
	}
	return []string{last}
}

// copyLog copies the log's files while the journal's process stands still.
func copyLog() (string, error) {
	pid := 0
	exes, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		return "", err
	}
	for _, e := range exes {
		if to, err := os.Readlink(e); err == nil && to == "/svc/journal" {
			fmt.Sscanf(e, "/proc/%d/exe", &pid)
		}
	}
	if pid == 0 {
		return "", errAbsent
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return "", err
	}
	defer syscall.Kill(pid, syscall.SIGCONT)
	dir := "/tmp/journal-copy"
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	return dir, os.CopyFS(dir, os.DirFS("/data/journal"))
}

var wanted = regexp.MustCompile(`"kind":"(exec\.refused|port\.refused|port\.attached|sale\.completed|drawer\.open|print\.done|boot\.ready)"[^\n\x00]{0,300}`)

func entries(dir string) []string {
	var out []string
	files, _ := filepath.Glob(dir + "/log/*.segment")
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		for _, m := range wanted.FindAllSubmatch(b, 200) {
			out = append(out, fmt.Sprintf("journal: %s %s", m[1], m[0]))
		}
	}
	return out
}
