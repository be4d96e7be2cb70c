package report

import (
	"fmt"
	"strings"

	"muster/internal/drift"
)

// moment is how a page shows a time.
const moment = "2006-01-02 15:04"

// writePage writes a page from its title on.
func writePage(m *markup, c *Report) {
	m.put(`<title>muster `).data(c.Command).put(`: `).data(c.Outcome).put("</title>\n</head>\n<body>\n")
	m.put(`<h1>muster `).data(c.Command).put(`: `).colored(c.Outcome).put("</h1>\n")
	m.put(`<p>`).lines(c.Playbooks).put("</p>\n")
	m.put(`<p class="faint">`).data(c.Began.UTC().Format("2006-01-02 15:04:05 UTC")).put(`, `).data(fmt.Sprintf("%.1f", c.Seconds))
	m.put(` s, by `).line(c.By).put(`, with muster `).data(c.Muster).put("</p>\n<ul class=\"fleet\">\n")
	for _, f := range fleetOf(c) {
		m.put(`<li><b class="`).data(f.state).put(`">`).number(f.n).put(`</b> `).data(f.state).put("</li>\n")
	}
	m.put("</ul>\n")
	writeNotes(m, c.Notes)
	if c.Check != nil {
		writeDrift(m, c.Check)
	}
	if past := pastOf(c.Check); past != nil {
		writePast(m, past)
	}
	writeHosts(m, c.Hosts)
	writeTasks(m, c.Groups())
	m.put("</body>\n</html>\n")
}

func writeNotes(m *markup, notes []Note) {
	if len(notes) == 0 {
		return
	}
	m.put("<h2>Notes</h2>\n")
	for _, n := range notes {
		m.put(`<p>`).colored(n.Level).put(` `)
		if n.File != "" {
			m.put(`<span class="faint">`).position(n.File, n.Line).put(`</span> `)
		}
		m.text(n.Text).put("</p>\n")
	}
}

func writeDrift(m *markup, c *drift.Check) {
	m.put("<h2>Drift</h2>\n<p>")
	if c.Last != "" {
		m.put(`Held against the check of `).data(c.LastBegan.UTC().Format(moment + " UTC")).put(`.`)
	} else {
		m.put(`The first check: all drift is new.`)
	}
	m.put("</p>\n<p>").number(c.Count(drift.New)).put(` new, `).number(c.Count(drift.Still)).put(` still there, `).number(c.Count(drift.Gone)).put(` gone`)
	if n := c.Contested(); n > 0 {
		m.put(`; <span class="contested">`).number(n).put(` contested</span>`)
	}
	if n := len(c.Unreached()); n > 0 {
		m.put(`; <span class="unreachable">`).number(n).put(` not checked</span>`)
	}
	m.put("</p>\n")
	if len(c.Items) == 0 {
		m.put("<p>Nothing has drifted.</p>\n")
		return
	}
	m.put(`<div class="wide"><table class="stack">
<thead><tr><th>state</th><th>host</th><th>task</th><th>since</th><th></th></tr></thead>
<tbody>
`)
	for i := range c.Items {
		writeItem(m, &c.Items[i])
	}
	m.put("</tbody></table></div>\n")
}

func writeItem(m *markup, item *drift.Item) {
	m.put(`<tr><td class="`).data(string(item.State)).put(`">`).data(string(item.State)).put(`</td><td>`).line(item.Host)
	if item.On != "" {
		m.put(` on `).line(item.On)
	}
	m.put(`</td><td>`)
	if item.Role != "" {
		m.put(`role.`).line(item.Role).put(` `)
	}
	m.line(item.Name)
	if item.Key != "" {
		m.put(`[`).line(item.Key).put(`]`)
	}
	m.put(`<div class="faint">`).position(item.File, item.Line).put(`</div></td><td class="when">`).data(item.Since.UTC().Format(moment)).put(`</td><td>`)
	if item.Contested {
		m.put(`<div><span class="contested">contested</span>: somebody else sets it</div>`)
	}
	if item.Returned > 0 {
		m.put(`<div>back `).number(item.Returned).put(`×</div>`)
	}
	if item.PutRight.ID != "" {
		m.put(`<div>put right by `).line(item.PutRight.By).put(`, run `).line(item.PutRight.ID).put(`</div>`)
	}
	if item.Altered {
		m.put(`<div>differs from what stood there then</div>`)
	}
	for _, known := range item.Known {
		m.put(`<div class="faint">`).line(known).put(`</div>`)
	}
	m.put("</td></tr>\n")
}

func writePast(m *markup, past *pagePast) {
	m.put(`<h2>The last `).number(len(past.Checks)).put(" checks</h2>\n")
	for _, t := range past.Tables {
		m.put("<div class=\"wide\"><table class=\"past\">\n<thead><tr><th>").data(t.What).put(`</th>`)
		for _, began := range past.Checks {
			m.put(`<th class="n">`).data(began.Format("01-02")).put(`<br>`).data(began.Format("15:04")).put(`</th>`)
		}
		m.put("</tr></thead>\n<tbody>\n")
		for _, row := range t.Rows {
			m.put(`<tr><td>`).line(row.Name).put(`</td>`)
			for _, f := range row.Found {
				writeFound(m, f)
			}
			m.put("</tr>\n")
		}
		m.put("</tbody></table></div>\n")
		if t.Left > 0 {
			m.put(`<p class="faint">`).number(t.Left).put(" more aren't listed.</p>\n")
		}
	}
	m.put("<p class=\"faint\">How many tasks of a host had drifted, and on how many hosts a task had; · is none, ? a host that couldn't be checked.</p>\n")
}

func writeFound(m *markup, f drift.Found) {
	switch {
	case f.Unchecked:
		m.put(`<td class="n unreachable">?`)
	case f.N > 0:
		m.put(`<td class="n drift">`).number(f.N)
	case f.Looked:
		m.put(`<td class="n">·`)
	default:
		m.put(`<td class="n">`)
	}
	m.put(`</td>`)
}

func writeHosts(m *markup, hosts []Host) {
	m.put(`<h2>Hosts</h2>
<div class="wide"><table>
<thead><tr><th>host</th><th>state</th><th class="n">pending</th><th class="n less">changed</th><th class="n">failed</th><th class="n less">unchanged</th></tr></thead>
<tbody>
`)
	for i := range hosts {
		h := &hosts[i]
		m.put(`<tr><td>`).line(h.Name).put(`</td><td class="`).data(h.State()).put(`">`).data(h.State()).put(`</td>`)
		m.put(`<td class="n">`).number(h.Drifted()).put(`</td><td class="n less">`).number(h.Changed).put(`</td>`)
		m.put(`<td class="n">`).number(h.Failed - h.Tolerated).put(`</td><td class="n less">`).number(h.Unchanged).put("</td></tr>\n")
		for _, text := range h.Errors {
			m.put(`<tr><td class="faint" colspan="6">`).text(text).put("</td></tr>\n")
		}
	}
	m.put("</tbody></table></div>\n")
}

func writeTasks(m *markup, groups []Group) {
	m.put("<h2>Tasks</h2>\n")
	if len(groups) == 0 {
		m.put("<p>No task had anything to do.</p>\n")
	}
	left := pageBudget
	for i := range groups {
		left = writeGroup(m, &groups[i], left)
	}
}

// writeGroup writes a task. It returns how many bytes of diffs there is room for after it.
func writeGroup(m *markup, g *Group, left int) int {
	m.put(`<details><summary><span class="`).data(string(g.Status)).put(`">`).data(string(g.Status))
	if g.Tolerated {
		m.put(`, tolerated`)
	}
	m.put(`</span> `).line(g.Full()).put(` <span class="faint">on `).number(len(g.Hosts)).put(` host`)
	if len(g.Hosts) != 1 {
		m.put(`s`)
	}
	m.put("</span></summary><div>\n<p class=\"faint\">").line(g.Play)
	if g.File != "" {
		m.put(`, `).position(g.File, g.Line)
	}
	m.put("</p>\n<p>").lines(g.Hosts).put("</p>\n")
	if g.Error != "" {
		m.put(`<pre>`).text(g.Error).put("</pre>\n")
	}
	for _, change := range g.Changes {
		m.put(`<p>`).line(string(change.Action)).put(` `).line(change.Target)
		if change.Impact != "" {
			m.put(` <span class="faint">`).text(change.Impact).put(`</span>`)
		}
		m.put("</p>\n")
		shown, more := shownDiff(change.Diff, left)
		left -= writeDiff(m, shown)
		if more > 0 {
			m.put(`<p class="faint">`).number(more).put(" more lines are left out.</p>\n")
		}
	}
	m.put("</div></details>\n")
	return left
}

// writeDiff writes the lines of a diff, and returns about how many bytes those are.
func writeDiff(m *markup, lines []string) int {
	if len(lines) == 0 {
		return 0
	}
	size := 0
	m.put(`<pre>`)
	for _, text := range lines {
		switch {
		case strings.HasPrefix(text, "+"):
			m.put(`<span class="add">`)
		case strings.HasPrefix(text, "-"):
			m.put(`<span class="cut">`)
		default:
			m.put(`<span>`)
		}
		m.data(text).put(`</span>`)
		size += len(text) + len("<span></span>")
	}
	m.put("</pre>\n")
	return size
}
