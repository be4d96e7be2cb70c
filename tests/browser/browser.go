// Package browser opens report pages in Chromium.
//
// Chromium is Debian's, which tests/setup.sh installs. It refuses to make its sandbox as
// root. There it runs without one (--no-sandbox), on pages of ours alone, in a network
// namespace that has no way out; chromedp speaks to it through a pipe. Elsewhere, too,
// no name is found, and each address is asked of a proxy that isn't there.
package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Program is Chromium's; "" where there is none.
func Program() string {
	path, err := exec.LookPath("chromium")
	if err != nil {
		return ""
	}
	return path
}

// Window is how a page is looked at.
type Window struct {
	Width, Height int64
	Dark          bool
}

// Page is one that a browser has open.
type Page struct {
	ctx    context.Context
	cancel func()

	mu       sync.Mutex
	requests []string // beside the page itself
	said     []string // errors, violations of its policy, dialogs
	url      string
}

// Open writes a page into a folder and opens it.
func Open(ctx context.Context, dir, html string, w Window) (*Page, error) {
	file := filepath.Join(dir, "page.html")
	if err := os.WriteFile(file, []byte(html), 0o600); err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(Program()), chromedp.UserDataDir(filepath.Join(dir, "profile")), chromedp.WindowSize(int(w.Width), int(w.Height)),
		chromedp.ProxyServer("127.0.0.1:9"), chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND"), chromedp.DisableGPU)
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox, chromedp.ModifyCmdFunc(func(cmd *exec.Cmd) {
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
		}))
	}
	allocated, end := chromedp.NewExecAllocator(ctx, options...)
	p := &Page{url: "file://" + file}
	tab, endTab := chromedp.NewContext(allocated, chromedp.WithListener(p.hear))
	p.ctx, p.cancel = tab, func() { endTab(); end() }
	scheme := "light"
	if w.Dark {
		scheme = "dark"
	}
	var phone []chromedp.EmulateViewportOption
	if w.Width < 600 {
		phone = append(phone, chromedp.EmulateMobile, chromedp.EmulatePortrait)
	}
	err := chromedp.Do(tab, chromedp.EmulateViewport(w.Width, w.Height, phone...))
	if err == nil {
		_, err = chromedp.Call(tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	}
	if err == nil {
		err = chromedp.Do(tab, chromedp.Navigate(p.url))
	}
	if err != nil {
		p.Close()
		return nil, fmt.Errorf("opening a page in %s: %w", Program(), err)
	}
	return p, nil
}

// hear keeps what the browser tells of the page.
func (p *Page) hear(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if e.Request.URL != p.url {
			p.requests = append(p.requests, e.Request.URL)
		}
	case *log.EventEntryAdded:
		p.said = append(p.said, string(e.Entry.Source)+": "+e.Entry.Text)
	case *runtime.EventExceptionThrown:
		p.said = append(p.said, "exception: "+e.ExceptionDetails.Text)
	case *page.EventJavascriptDialogOpening:
		p.said = append(p.said, "dialog: "+e.Message)
		go func() { // hear may call nothing
			_, _ = chromedp.Call(p.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{})
		}()
	}
}

// Heard is what was asked of the network beside the page itself, and what the browser said.
func (p *Page) Heard() (requests, said []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests, p.said
}

// Evaluate evaluates a script's expression, which the page's policy doesn't hinder, and
// waits for a promise.
func Evaluate[T any](p *Page, script string) (T, error) {
	return chromedp.Run(p.ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
}

// Picture is the page's window as a PNG.
func (p *Page) Picture() ([]byte, error) {
	return chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
}

// Close ends the browser.
func (p *Page) Close() { p.cancel() }
