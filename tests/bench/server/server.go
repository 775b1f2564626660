// Package server is the web server of a vendor: Debian's nginx, serving a repository folder over HTTPS on this
// machine's loopback.
//
// It is not part of the product and knows no repository: it serves files. The rule that keeps it small: nginx does
// it; here its configuration is written and its life is ended.
package server

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Server is a running nginx.
type Server struct {
	// Addr is where it listens: 127.0.0.1 and a port of the machine's choice.
	Addr string

	cmd *exec.Cmd
	dir string
}

// config is nginx's, with the port, the folder and the certificate filled in. The limits are low on purpose: what a
// register asks must fit a small server.
const config = `%sdaemon off; pid nginx.pid; worker_processes 1; error_log error.log;
events { worker_connections 64; }
http {
  access_log access.log; default_type application/octet-stream; sendfile on; keepalive_timeout 30;
  client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
  server {
    listen %s ssl; ssl_certificate %s; ssl_certificate_key %s; ssl_protocols TLSv1.3;
    root %s; autoindex off;
  }
}
`

// Start serves folder with the certificate and key of two PEM files; dir is for its own files.
func Start(dir, folder, cert, key string) (*Server, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting the web server: %w", err)
	}
	s := &Server{Addr: ln.Addr().String(), dir: dir}
	ln.Close() // nginx takes the port that was found free
	conf := filepath.Join(dir, "nginx.conf")
	user := ""
	if os.Getuid() == 0 { // else nginx's own user could not read the folders of a test
		user = "user root; "
	}
	text := fmt.Sprintf(config, user, s.Addr, cert, key, folder)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		return nil, fmt.Errorf("starting the web server: %w", err)
	}
	s.cmd = exec.Command("nginx", "-p", dir, "-c", conf, "-e", filepath.Join(dir, "error.log"))
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the web server: %w", err)
	}
	return s, s.wait()
}

// wait returns when it answers.
func (s *Server) wait() error {
	var err error
	for range 100 {
		var c net.Conn
		if c, err = net.Dial("tcp", s.Addr); err == nil {
			return c.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	log, _ := os.ReadFile(filepath.Join(s.dir, "error.log"))
	return errors.Join(fmt.Errorf("starting the web server: %w: %s", err, log), s.Close())
}

// Requests is the log of what was asked for, one request a line with its status and its bytes.
func (s *Server) Requests() string {
	log, _ := os.ReadFile(filepath.Join(s.dir, "access.log"))
	return string(log)
}

// Close ends it.
func (s *Server) Close() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("ending the web server: %w", err)
	}
	_ = s.cmd.Wait() // it was told to end
	return nil
}
