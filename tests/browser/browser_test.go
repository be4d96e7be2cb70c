package browser

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// open opens a page; where there is no browser the test is skipped, which make test doesn't
// take: it installs one.
func open(t testing.TB, html string, err error, w Window) *Page {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if Program() == "" {
		t.Skip("no Chromium here: tests/setup.sh installs it")
	}
	p, err := Open(t.Context(), t.TempDir(), html, w)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func evaluated[T any](t testing.TB, p *Page, script string) T {
	t.Helper()
	v, err := Evaluate[T](p, script)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

var desktop, phone = Window{Width: 1280, Height: 900}, Window{Width: 360, Height: 740}

// hostile ends whatever it may stand in, runs what it can, calls home, turns the writing
// round and is longer than a line.
var hostile = "</pre></td></style></title></summary></details><script>window.owned=1;alert(1)</script>" +
	`<img src="http://evil.example/x" onerror="window.owned=1"><svg onload="window.owned=1"><iframe src="http://evil.example/f"></iframe>` +
	`<style>body{display:none}</style><link rel=stylesheet href="http://evil.example/s"><base href="http://evil.example/"><meta http-equiv=refresh content="0;url=http://evil.example/r">` +
	"\"' autofocus onfocus=window.owned=1 x='\u202e\u2066gnp.exe\x00\x1b[2J\x85\ufeff\xff{{.By}}<!--<![CDATA[&lt;javascript:window.owned=1" + strings.Repeat("A", 20_000)

// facts are what is looked at in a page.
type facts struct {
	Owned, Scripts, Foreign, Handlers, Links int
	Details, Closed                          int
	Width, Inner                             int
	Display, Wash                            string
	Title, Text                              string
}

const look = `(() => {
  const all = [...document.querySelectorAll('*')];
  document.querySelectorAll('details').forEach(d => d.open = true);
  return {
    Owned: window.owned ? 1 : 0, Scripts: document.scripts.length,
    Foreign: document.querySelectorAll('img,svg,iframe,link,base,object,form,input,a').length,
    Handlers: all.filter(e => [...e.attributes].some(a => a.name.startsWith('on') || a.name === 'style' || a.name === 'autofocus')).length,
    Links: document.links.length, Details: document.querySelectorAll('body > details').length, Closed: document.querySelectorAll('style').length,
    Width: document.documentElement.scrollWidth, Inner: window.innerWidth,
    Display: getComputedStyle(document.body).display, Wash: getComputedStyle(document.querySelector('.fleet li')).borderTopStyle,
    Title: document.title, Text: document.body.innerText,
  };
})()`

func TestAPageFullOfWhatHostsSayExecutesNothingInABrowser(t *testing.T) {
	for name, w := range map[string]Window{"desktop": desktop, "phone": phone} {
		t.Run(name, func(t *testing.T) {
			html, err := Hostile(hostile)
			p := open(t, html, err, w)
			f := evaluated[facts](t, p, look)
			if f.Owned+f.Scripts+f.Foreign+f.Handlers+f.Links != 0 || f.Closed != 1 {
				t.Errorf("something of a host's is more than text: %+v", f)
			}
			if f.Details != 2 || f.Title != "muster drift: failed" || !strings.Contains(f.Text, "<script>window.owned=1;alert(1)</script>") {
				t.Errorf("the page is broken: %d tasks, %q", f.Details, f.Title)
			}
			if f.Display != "block" || f.Wash != "solid" {
				t.Errorf("its own style sheet isn't used: %s, %s", f.Display, f.Wash)
			}
			if f.Width > f.Inner {
				t.Errorf("it is %d pixels wide in a window of %d", f.Width, f.Inner)
			}
			if i := strings.IndexAny(f.Text, "\u202e\u2066\x00\x1b\ufeff"); i >= 0 {
				t.Errorf("%q turns or hides what stands there", f.Text[i:i+5])
			}
			if requests, said := p.Heard(); len(requests)+len(said) > 0 {
				t.Errorf("it asks for %q, and says %q", requests, said)
			}
		})
	}
}

// Where an escape failed one day, the page's policy is what holds.
func TestThePolicyOfAPageHoldsWhatSlipsThrough(t *testing.T) {
	html, err := Sample()
	const begin = "<body>"
	html = strings.Replace(html, begin, begin+`<script>window.owned=1;alert(1)</script><img src="http://evil.example/x" onerror="window.owned=1"><svg onload="window.owned=1"></svg>`+
		`<style>body{display:none}</style><p style="display:none">x</p><link rel=stylesheet href="http://evil.example/s"><iframe src="http://evil.example/f"></iframe>`+
		`<base href="http://evil.example/"><form action="http://evil.example/"><button id="b">b</button></form><a id="a" href="javascript:window.owned=1">a</a>`, 1)
	p := open(t, html, err, desktop)
	got := evaluated[struct {
		Owned            int
		Display, P, Base string
	}](t, p, `(async () => {
		document.getElementById('a').click(); document.getElementById('b').click();
		await new Promise(r => setTimeout(r, 100));
		return {Owned: window.owned ? 1 : 0, Display: getComputedStyle(document.body).display, P: getComputedStyle(document.querySelector('p')).display, Base: document.baseURI};
	})()`)
	if got.Owned != 0 || got.Display != "block" || got.P != "block" || !strings.HasPrefix(got.Base, "file://") {
		t.Errorf("%+v", got)
	}
	requests, said := p.Heard()
	for _, r := range requests {
		if strings.HasPrefix(r, "http://evil.example/") && !slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, r) }) {
			t.Errorf("it asks for %q, and nothing refuses that", r)
		}
	}
	if n := len(slices.DeleteFunc(said, func(s string) bool { return !strings.Contains(s, "Content Security Policy") })); n < 6 {
		t.Errorf("the browser tells of %d violations", n)
	}
}

func TestAPageFitsWhereverItIsRead(t *testing.T) {
	html, err := Sample()
	grounds := map[string]string{}
	for name, w := range map[string]Window{"light": desktop, "dark": {Width: 1280, Height: 900, Dark: true}, "phone": phone} {
		t.Run(name, func(t *testing.T) {
			p := open(t, html, err, w)
			f := evaluated[facts](t, p, look)
			grounds[name] = evaluated[string](t, p, `getComputedStyle(document.body).backgroundColor`)
			if f.Width > f.Inner {
				t.Errorf("it is %d pixels wide in a window of %d", f.Width, f.Inner)
			}
			if faint := evaluated[[]string](t, p, contrast); len(faint) > 0 {
				t.Errorf("hard to read: %v", faint)
			}
			if requests, said := p.Heard(); len(requests)+len(said) > 0 {
				t.Errorf("it asks for %q, and says %q", requests, said)
			}
		})
	}
	if grounds["light"] == grounds["dark"] {
		t.Error("dark is as light")
	}
}

// contrast names the texts with less than 4.5 between them and what they stand on, as WCAG
// 2.1 (1.4.3) has it.
const contrast = `(() => {
  const rgb = c => { const m = c.match(/[\d.]+/g).map(Number); return m.length > 3 && m[3] === 0 ? null : m; };
  const light = c => { const [r, g, b] = c.map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c) return c.slice(0, 3); } return [255, 255, 255]; };
  const bad = new Set();
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
    const a = light(rgb(getComputedStyle(e).color).slice(0, 3)), b = light(ground(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.add(e.tagName + '.' + e.className + ' ' + ratio.toFixed(2));
  }
  return [...bad];
})()`

// A click on a task of the largest page is answered when its content has been painted.
func BenchmarkAClickOnThePageOfALargeFleet(b *testing.B) {
	html, err := Fleet()
	p := open(b, html, err, desktop)
	var took []float64
	for b.Loop() {
		took = append(took, evaluated[float64](b, p, click(len(took)*97%1000)))
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2], "ms-median")
	b.ReportMetric(took[len(took)-1], "ms-worst")
	b.ReportMetric(float64(len(html))/(1<<20), "MiB")
}

// click opens or closes a task, and resolves to how long it took until it was painted, in ms.
func click(n int) string {
	return strings.ReplaceAll(`new Promise(done => {
  const s = document.querySelectorAll('summary')[N];
  s.scrollIntoView();
  requestAnimationFrame(() => setTimeout(() => {
    const begin = performance.now();
    s.click();
    requestAnimationFrame(() => { const c = new MessageChannel(); c.port1.onmessage = () => done(performance.now() - begin); c.port2.postMessage(0); });
  }));
})`, "N", strconv.Itoa(n))
}
