package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"muster/tests/lab/aptproxy"
)

// ProxyArgument is the program lab's first argument when it is to be a lab's
// package cache (ServePackages); nobody types it.
const ProxyArgument = "package-cache"

// detached returns a command that starts a program in a session of its own, as
// no child of the caller's, with its output in log.
func detached(ctx context.Context, log *os.File, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "setsid", append([]string{"--fork", name}, args...)...)
	cmd.Env = cleanEnvironment()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = "/"
	return cmd
}

// buildProgram builds the program lab from this module's source.
func buildProgram(ctx context.Context, p paths) (string, error) {
	out := filepath.Join(p.run(), "lab")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", out, "muster/tests/cmd/lab")
	if b, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the program lab, which serves packages: %w\n%s", err, tail(string(b), 10))
	}
	return out, nil
}

// startProxy starts the lab's package cache. It listens in the switch's
// namespace, on a socket that it inherits open: a host that asks before the
// program has started waits, and isn't refused.
func startProxy(ctx context.Context, p paths, program string) error {
	listener, err := listenIn(p.netnsPath(switchSpace), net.JoinHostPort(cacheAddress, cachePort))
	if err != nil {
		return fmt.Errorf("listening for the package cache: %w", err)
	}
	defer listener.Close()
	socket, err := listener.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	defer socket.Close()
	log, err := os.OpenFile(p.proxyLog(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := detached(ctx, log, program, ProxyArgument, p.packages(), p.proxyPID())
	cmd.ExtraFiles = []*os.File{socket}
	for _, v := range []string{"HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"} { // the machine's way to the mirror
		if value, ok := os.LookupEnv(v); ok {
			cmd.Env = append(cmd.Env, v+"="+value)
		}
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("starting the package cache: %w", err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		proxy, err := readPIDFile(p.proxyPID())
		if err != nil || proxy.alive() {
			return err
		}
		if time.Now().After(end) {
			b, _ := os.ReadFile(p.proxyLog())
			return fmt.Errorf("the package cache doesn't start: %s", tail(string(b), 5))
		}
	}
}

// ServePackages is a lab's package cache, over the folder dir: it answers on
// the listening socket that it inherited as descriptor 3, writes its PID file,
// and returns when ctx ends. Log is told of each request.
func ServePackages(ctx context.Context, dir, pidFile string, log func(line string)) error {
	socket := os.NewFile(3, "listener")
	if socket == nil {
		return errors.New("no socket was inherited")
	}
	listener, err := net.FileListener(socket)
	socket.Close()
	if err != nil {
		return fmt.Errorf("taking over the listening socket: %w", err)
	}
	proxy, err := aptproxy.New(aptproxy.Options{Dir: dir, Fresh: time.Minute, Log: log})
	if err != nil {
		return err
	}
	server := &http.Server{Handler: proxy, ReadHeaderTimeout: 30 * time.Second, IdleTimeout: time.Minute}
	var wg sync.WaitGroup
	wg.Go(func() {
		<-ctx.Done()
		server.Close()
	})
	if err := WritePIDFile(pidFile); err != nil {
		return err
	}
	err = server.Serve(listener)
	wg.Wait()
	proxy.Close()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
