package transporttest

import (
	"cmp"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// serve plays one connection to its end.
func (s *Server) serve(c *conn, fault Fault) {
	loggedIn := false
	leave := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !loggedIn {
			s.pending--
			loggedIn = true
		}
	}
	defer leave()
	if c.misbehave(fault) {
		return
	}
	config := s.config(fault)
	if fault == StallInLogin {
		config.PublicKeyCallback = func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
			<-c.closed
			return nil, errors.New("too late")
		}
	}
	conn, channels, requests, err := ssh.NewServerConn(c, config)
	if err != nil {
		return
	}
	defer conn.Close()
	s.mu.Lock()
	s.logins++
	s.mu.Unlock()
	leave()
	if fault == StallAfterLogin {
		c.freeze()
		<-c.closedByPeer()
		return
	}
	go ssh.DiscardRequests(requests)
	if fault == AskBack && !refuses(conn) {
		return
	}
	var sessions atomic.Int32
	var wg sync.WaitGroup
	for request := range channels {
		switch request.ChannelType() {
		case "session":
			if fault == RefuseSessions || s.opts.MaxSessions > 0 && int(sessions.Load()) >= s.opts.MaxSessions {
				request.Reject(ssh.ConnectionFailed, "open failed")
				continue
			}
			channel, requests, err := request.Accept()
			if err != nil {
				continue
			}
			sessions.Add(1)
			wg.Go(func() {
				s.session(channel, requests, fault)
				sessions.Add(-1)
			})
		case "direct-tcpip":
			wg.Go(func() { s.forward(request, fault, c) })
		default:
			request.Reject(ssh.UnknownChannelType, "unknown channel type")
		}
	}
	wg.Wait()
}

// refuses reports whether the client opens none of the channels that it is asked
// for and grants no request.
func refuses(conn ssh.Conn) bool {
	for range 50 { // more than x/crypto queues
		if _, _, err := conn.OpenChannel("x11", nil); err == nil {
			return false
		}
		if ok, _, err := conn.SendRequest("hostkeys-prove-00@openssh.com", true, nil); ok || err != nil {
			return false
		}
	}
	return true
}

// forward connects a direct-tcpip channel.
func (s *Server) forward(request ssh.NewChannel, fault Fault, c *conn) {
	var to struct {
		Host       string
		Port       uint32
		OriginHost string
		OriginPort uint32
	}
	if s.opts.DenyForwarding || ssh.Unmarshal(request.ExtraData(), &to) != nil {
		request.Reject(ssh.Prohibited, "open failed")
		return
	}
	if fault == StallForwards {
		<-c.closed
		return
	}
	addr := net.JoinHostPort(to.Host, strconv.Itoa(int(to.Port)))
	if real, ok := s.opts.Forward[addr]; ok {
		addr = cmp.Or(real, s.Addr())
	}
	out, err := net.Dial("tcp", addr)
	if err != nil {
		request.Reject(ssh.ConnectionFailed, "Connection refused")
		return
	}
	channel, requests, err := request.Accept()
	if err != nil {
		out.Close()
		return
	}
	go ssh.DiscardRequests(requests)
	var wg sync.WaitGroup
	wg.Go(func() { io.Copy(channel, out); channel.Close(); out.Close() })
	wg.Go(func() { io.Copy(out, channel); out.Close() })
	wg.Wait()
}

// session serves one exec or sftp request.
func (s *Server) session(channel ssh.Channel, requests <-chan *ssh.Request, fault Fault) {
	defer channel.Close()
	for r := range requests {
		var payload struct{ Text string }
		ssh.Unmarshal(r.Payload, &payload)
		switch {
		case r.Type == "exec":
			r.Reply(true, nil)
			s.exec(channel, requests, payload.Text, fault)
			return
		case r.Type == "subsystem" && payload.Text == "sftp" && !s.opts.DenySFTP:
			r.Reply(true, nil)
			server, err := sftp.NewServer(channel, sftp.WithServerWorkingDirectory(s.opts.Home))
			if err == nil {
				go ssh.DiscardRequests(requests)
				server.Serve()
			}
			return
		case r.WantReply:
			r.Reply(false, nil)
		}
	}
}

// exec runs command by the login shell, as sshd does, and ends it when the
// channel is closed.
func (s *Server) exec(channel ssh.Channel, requests <-chan *ssh.Request, command string, fault Fault) {
	cmd := exec.Command(s.opts.Shell, "-c", command)
	cmd.Dir = s.opts.Home
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.opts.Home}, s.opts.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return
	}
	cmd.Stdout, cmd.Stderr = channel, channel.Stderr()
	cmd.WaitDelay = time.Second // a command's own children may hold its output
	if err := cmd.Start(); err != nil {
		channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{127}))
		return
	}
	go func() {
		io.Copy(stdin, channel)
		stdin.Close()
	}()
	ended, hungUp := make(chan struct{}), make(chan struct{})
	go func() {
		ssh.DiscardRequests(requests)
		close(hungUp)
	}()
	go func() {
		select {
		case <-hungUp:
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		case <-ended:
		}
	}()
	cmd.Wait()
	close(ended)
	if fault == ExitSilently {
		return
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		channel.SendRequest("exit-signal", false, ssh.Marshal(struct {
			Name          string
			Core          bool
			Message, Lang string
		}{Name: "KILL"}))
		return
	}
	channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{uint32(cmd.ProcessState.ExitCode())}))
}
