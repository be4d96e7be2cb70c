package launch

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"muster/transport"
)

// ErrSudo means that sudo did not let the user become another: it wants a
// password, or another one, or refuses, or hangs. Trying the same again doesn't
// help.
var ErrSudo = errors.New("sudo refuses")

// maxNoise is how much a host may print around the marker lines.
const maxNoise = 1 << 20

// launch is the conversation with the scripts.
type launch struct {
	o      Options
	s      scripts
	p      *transport.Process
	out    *bufio.Reader
	stderr *tail
	binary *Binary // what the host is to be sent

	mu       sync.Mutex
	watchdog *time.Timer
	late     bool // the watchdog hung up
	done     bool

	noise []byte   // the end of what was no marker line
	drops int      // how much that was
	bad   []string // the folders that won't do, and why
	stage stage
}

// stage is whose answer is waited for.
type stage string

const (
	loginShell stage = "the login shell"
	sudo       stage = "sudo"
	shell      stage = "/bin/sh"
	upload     stage = "the upload of the remote"
)

func newLaunch(o Options, s scripts, p *transport.Process) *launch {
	l := &launch{o: o, s: s, p: p, out: bufio.NewReaderSize(p.Stdout, 4<<10), stage: loginShell}
	l.stderr = newTail(s.wholePrompt(), l.answer)
	l.watchdog = time.AfterFunc(o.Timeout, func() {
		l.mu.Lock()
		l.late = !l.done
		l.mu.Unlock()
		if l.late {
			p.Close()
		}
	})
	go l.stderr.follow(p.Stderr)
	return l
}

// touch gives the host its time again.
func (l *launch) touch() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.done && !l.late {
		l.watchdog.Reset(l.o.Timeout)
	}
}

// settle ends the watch.
func (l *launch) settle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done = true
	l.watchdog.Stop()
}

// answer is called each time sudo asks for the password.
func (l *launch) answer(times int) {
	if l.o.Password == nil {
		return
	}
	l.touch()
	if times == 1 {
		io.WriteString(l.p.Stdin, l.o.Password.Reveal()+"\n")
		return
	}
	l.p.Close() // it was wrong: sudo gets no second try
}

// run follows the scripts' marker lines until the remote runs.
func (l *launch) run() (*Remote, error) {
	for {
		word, rest, err := l.next()
		if err != nil {
			return nil, l.explain(err)
		}
		switch word {
		case "start":
			l.stage = shell
			if l.o.Become != "" {
				l.stage = sudo
			}
		case inPlace:
			return l.placed(rest)
		case "run":
			return &Remote{Stdin: l.p.Stdin, Stdout: l.rest(), Path: rest, Sum: path.Base(rest), Uploaded: l.stage == upload}, nil
		case "need":
			l.stage = shell
			if err := l.offer(rest); err != nil {
				return nil, err
			}
		case "send":
			if l.binary == nil || l.stage == upload {
				return nil, fmt.Errorf("the host asks for the remote out of turn")
			}
			l.stage = upload
			// Its answer is read meanwhile: a full disk ends the host's reading.
			go l.send(io.NewSectionReader(l.binary.Gzip, 0, l.binary.Packed))
		case "bad":
			l.bad = append(l.bad, clean(rest))
		case "none":
			return nil, fmt.Errorf("no folder on the host can hold it: %s", strings.Join(l.bad, "; "))
		case "fail":
			return nil, fmt.Errorf("installing it: %s", clean(rest))
		case "nosudo":
			return nil, fmt.Errorf("the host has no sudo to become %s with: log in as %s, or install sudo", l.o.Become, l.o.Become)
		}
	}
}

// rest is what the host says from here on. The buffer that lines were read with
// is given up: a run holds on to very many remotes.
func (l *launch) rest() io.Reader {
	ahead, _ := l.out.Peek(l.out.Buffered())
	l.out = nil
	if len(ahead) == 0 {
		return l.p.Stdout
	}
	return io.MultiReader(bytes.NewReader(bytes.Clone(ahead)), l.p.Stdout)
}

// next returns the next marker line, and drops what is none.
func (l *launch) next() (word, rest string, err error) {
	whole := true // the line is read from its beginning
	for {
		line, err := l.out.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			l.noise = append(l.noise, line...)
			return "", "", err
		}
		if text, ok := strings.CutPrefix(string(line), l.s.wholeMarker()+" "); ok && whole && err == nil {
			l.touch()
			word, rest, _ := strings.Cut(strings.TrimSuffix(text, "\n"), " ")
			return word, rest, nil
		}
		if sum, ok := strings.CutPrefix(string(line), inPlace+" "); ok && whole && err == nil && l.stage == loginShell {
			return inPlace, strings.TrimSuffix(sum, "\n"), nil
		}
		whole = err == nil
		l.noise = append(l.noise, line...)
		l.noise = l.noise[max(0, len(l.noise)-1000):]
		if l.drops += len(line); l.drops > maxNoise {
			return "", "", fmt.Errorf("the host prints more than %d KiB before the remote runs: keep the login shell's start-up files silent", maxNoise>>10)
		}
	}
}

// offer answers a host that has no remote with the script that installs one.
func (l *launch) offer(machine string) error {
	system, machine, _ := strings.Cut(machine, " ")
	arch := goarch(machine)
	if system != "Linux" || arch == "" {
		return fmt.Errorf("there is no remote for %s on %s", clean(system), clean(machine))
	}
	if l.binary != nil {
		return fmt.Errorf("the host asks for the remote twice")
	}
	b, err := l.o.Binaries.Open(arch)
	if err != nil {
		return fmt.Errorf("opening the remote for %s: %w", arch, err)
	}
	l.touch() // Open may have built it
	l.binary = &b
	script := l.s.install(b, l.o.Fresh)
	if _, err := fmt.Fprintf(l.p.Stdin, "%d\n%s", len(script), script); err != nil {
		return l.explain(err)
	}
	return nil
}

// send sends the packed remote. How that ended is for the host to say.
func (l *launch) send(packed io.Reader) {
	// SSH keeps a buffer of the largest write for as long as it lives.
	buffer := make([]byte, 8<<10)
	for {
		n, err := packed.Read(buffer)
		if n == 0 && err != nil {
			return
		}
		if _, err := l.p.Stdin.Write(buffer[:n]); err != nil {
			return
		}
		l.touch()
	}
}

// explain says why the conversation ended, with the host's own last words.
func (l *launch) explain(err error) error {
	l.mu.Lock()
	late := l.late
	l.mu.Unlock()
	ended := l.ended()
	said := l.stderr.words()
	if said == "" {
		said = clean(lastLines(string(l.noise)))
	}
	if said == "" {
		said = "it said nothing"
	}
	switch {
	case l.stage == sudo && l.stderr.times() > 1:
		return fmt.Errorf("%w: the password for sudo is wrong (it was tried once): %s", ErrSudo, said)
	case l.stage == sudo && late:
		return fmt.Errorf("%w: no answer within %v: %s", ErrSudo, l.o.Timeout, said)
	case late:
		return fmt.Errorf("%s gave no answer within %v: %s", l.stage, l.o.Timeout, said)
	case !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrClosed):
		return err
	case errors.Is(ended, transport.ErrLost):
		return ended
	case l.stage == sudo && l.o.Password == nil:
		return fmt.Errorf("%w to become %s: %s: give a password with --ask-become-pass, or change the host's sudoers (NOPASSWD, !requiretty)", ErrSudo, l.o.Become, said)
	case l.stage == sudo:
		return fmt.Errorf("%w to become %s: %s", ErrSudo, l.o.Become, said)
	case l.stage == loginShell:
		return fmt.Errorf("the login shell runs no commands (%v): %s: give the user a shell such as /bin/sh", ended, said)
	}
	return fmt.Errorf("%s ended early (%v): %s", l.stage, ended, said)
}

// patience is how long a command whose output has ended may take to end.
const patience = 3 * time.Second

// ended returns how the command ended.
func (l *launch) ended() error {
	timer := time.AfterFunc(patience, func() { l.p.Close() })
	defer timer.Stop()
	err := l.p.Wait()
	select {
	case <-l.stderr.done:
	case <-time.After(patience):
	}
	return err
}
