package mysql

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"muster/host"
)

// clause is how a statement says what a database is.
func (s schema) clause() string { return "CHARACTER SET " + s.Charset + " COLLATE " + s.Collation }

// schemaNow is a database as it is; nil where there is none.
func (s *server) schemaNow(ctx context.Context, name string) (*schema, error) {
	rows, err := s.rows(ctx, "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = "+literal(name))
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return &schema{Charset: rows[0][0], Collation: rows[0][1]}, nil
}

// actingOn connects for a change of a database, and returns that as it is.
func actingOn(ctx context.Context, h *host.Host, name string) (*server, *schema, error) {
	s, err := acting(ctx, h)
	if err != nil {
		return nil, nil, err
	}
	now, err := s.schemaNow(ctx, name)
	if err != nil {
		s.Close()
		return nil, nil, fmt.Errorf("looking at the database %s: %w", name, err)
	}
	return s, now, nil
}

func databaseTarget(name string) string { return "database " + oneLine(name, 70) }

// CreateDatabase makes a database.
type CreateDatabase struct {
	Name string `json:"name"`
	To   schema `json:"to"`
}

// Type is "mysql.database.create/1".
func (*CreateDatabase) Type() string { return "mysql.database.create/1" }

// Describe shows what new tables get.
func (c *CreateDatabase) Describe() host.Description {
	return host.Description{Action: host.Create, Target: databaseTarget(c.Name), Diff: "charset: " + c.To.Charset + "\ncollation: " + c.To.Collation}
}

// Effects is the database.
func (c *CreateDatabase) Effects() []host.Effect {
	return []host.Effect{host.Is(databaseKey(c.Name), c.To)}
}

// Apply makes it where there is none.
func (c *CreateDatabase) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	s, now, err := actingOn(ctx, h, c.Name)
	if err != nil {
		return host.Result{}, err
	}
	defer s.Close()
	if now != nil {
		return host.Result{}, fmt.Errorf("there is a database %s by now: %w", c.Name, host.ErrMoved)
	}
	if err := h.Begin(host.Undo{Changes: []host.Change{&DropDatabase{Name: c.Name, Was: c.To}}}); err != nil {
		return host.Result{}, err
	}
	if err := s.do(ctx, "CREATE DATABASE "+ident(c.Name)+" "+c.To.clause()); err != nil {
		return host.Result{}, fmt.Errorf("making the database %s: %w", c.Name, err)
	}
	output, err := host.Marshal(DatabaseOutput(c.To))
	if err != nil {
		return host.Result{}, err
	}
	return host.Result{Output: output}, h.At("made the database")
}

// AlterDatabase gives new tables of a database another character set or collation.
type AlterDatabase struct {
	Name string `json:"name"`
	From schema `json:"from"`
	To   schema `json:"to"`
}

// Type is "mysql.database.alter/1".
func (*AlterDatabase) Type() string { return "mysql.database.alter/1" }

// Describe shows both.
func (a *AlterDatabase) Describe() host.Description {
	var lines []string
	if a.From.Charset != a.To.Charset {
		lines = append(lines, "charset: "+a.From.Charset+" → "+a.To.Charset)
	}
	if a.From.Collation != a.To.Collation {
		lines = append(lines, "collation: "+a.From.Collation+" → "+a.To.Collation)
	}
	return host.Description{Action: host.Update, Target: databaseTarget(a.Name), Diff: strings.Join(lines, "\n"), Impact: "tables that are there keep theirs"}
}

// Effects is the database.
func (a *AlterDatabase) Effects() []host.Effect {
	return []host.Effect{host.Is(databaseKey(a.Name), a.To)}
}

// Apply alters it, if it is as it was planned on, or as it is to be.
func (a *AlterDatabase) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	s, now, err := actingOn(ctx, h, a.Name)
	if err != nil {
		return host.Result{}, err
	}
	defer s.Close()
	if now == nil || *now != a.From && *now != a.To {
		return host.Result{}, fmt.Errorf("the database %s: %w", a.Name, host.ErrMoved)
	}
	if err := h.Begin(host.Undo{Changes: []host.Change{&AlterDatabase{Name: a.Name, From: a.To, To: a.From}}}); err != nil {
		return host.Result{}, err
	}
	if *now != a.To {
		if err := s.do(ctx, "ALTER DATABASE "+ident(a.Name)+" "+a.To.clause()); err != nil {
			return host.Result{}, fmt.Errorf("altering the database %s: %w", a.Name, err)
		}
	}
	output, err := host.Marshal(DatabaseOutput(a.To))
	if err != nil {
		return host.Result{}, err
	}
	return host.Result{Output: output}, h.At("altered the database")
}

// contents is what a database holds.
type contents struct {
	Tables []string `json:"tables,omitempty"`
	Views  int      `json:"views,omitempty"`
	Code   int      `json:"code,omitempty"` // procedures, functions, and events
	Size   int64    `json:"size,omitempty"` // in bytes, as far as the server counts them
}

// readContents asks what a database holds.
func readContents(ctx context.Context, v *host.View, name string) (contents, error) {
	return asking(ctx, v, func(s *server) (contents, error) { return s.contents(ctx, name) })
}

func (s *server) contents(ctx context.Context, name string) (c contents, err error) {
	rows, err := s.rows(ctx, "SELECT TABLE_NAME, TABLE_TYPE, COALESCE(DATA_LENGTH, 0) + COALESCE(INDEX_LENGTH, 0) FROM information_schema.TABLES WHERE TABLE_SCHEMA = "+literal(name)+" ORDER BY TABLE_NAME")
	if err != nil {
		return c, err
	}
	for _, r := range rows {
		if strings.Contains(r[1], "VIEW") {
			c.Views++
			continue
		}
		c.Tables = append(c.Tables, r[0])
		size, _ := strconv.ParseInt(r[2], 10, 64)
		c.Size += size
	}
	rows, err = s.rows(ctx, "SELECT (SELECT COUNT(*) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = "+literal(name)+") + (SELECT COUNT(*) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = "+literal(name)+")")
	if err != nil || len(rows) != 1 {
		return c, err
	}
	c.Code, err = strconv.Atoi(rows[0][0])
	return c, err
}

func (c contents) empty() bool { return len(c.Tables) == 0 && c.Views == 0 && c.Code == 0 }

// String says what is lost with it. Its size is rounded: it moves all the time, and a plan
// that says so would be another one.
func (c contents) String() string {
	var parts []string
	if n := len(c.Tables); n > 0 {
		const most = 8
		names := make([]string, 0, most)
		for _, t := range c.Tables[:min(n, most)] {
			names = append(names, oneLine(t, 64))
		}
		text := fmt.Sprintf("%s with %s: %s", count(n, "table"), roughly(c.Size), strings.Join(names, ", "))
		if n > most {
			text += fmt.Sprintf(" and %d more", n-most)
		}
		parts = append(parts, text)
	}
	if c.Views > 0 {
		parts = append(parts, count(c.Views, "view"))
	}
	if c.Code > 0 {
		parts = append(parts, count(c.Code, "procedure, function or event"))
	}
	return strings.Join(parts, "; ")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if what == "procedure, function or event" {
		return grouped(n) + " procedures, functions and events"
	}
	return grouped(n) + " " + what + "s"
}

// grouped is a number with its thousands apart: 1,234,567.
func grouped(n int) string {
	text := strconv.Itoa(n)
	first := 0
	if n < 0 {
		first = 1
	}
	for at := len(text) - 3; at > first; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// roughly is a size of which only the magnitude holds still.
func roughly(size int64) string {
	if size < 1<<20 {
		return "less than 1 MiB"
	}
	step := int64(1 << 20)
	for size >= 2*step {
		step *= 2
	}
	units := []string{"MiB", "GiB", "TiB"}
	n := step >> 20
	for len(units) > 1 && n >= 1024 {
		n, units = n>>10, units[1:]
	}
	return fmt.Sprintf("at least %d %s", n, units[0])
}

// DropDatabase drops a database with all that it holds.
type DropDatabase struct {
	Name string `json:"name"`
	Was  schema `json:"was"`
	// Loses is what it held when this was planned.
	Loses contents `json:"loses"`
}

// Type is "mysql.database.drop/1".
func (*DropDatabase) Type() string { return "mysql.database.drop/1" }

// Describe says what is lost.
func (d *DropDatabase) Describe() host.Description {
	impact := "it is empty"
	if !d.Loses.empty() {
		impact = "loses " + d.Loses.String()
	}
	return host.Description{Action: host.Delete, Target: databaseTarget(d.Name), Impact: impact}
}

// Effects is that the database is gone.
func (d *DropDatabase) Effects() []host.Effect { return []host.Effect{host.Gone(databaseKey(d.Name))} }

// Apply drops it, if it holds no other tables than the plan said. Nothing brings them back.
func (d *DropDatabase) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	s, now, err := actingOn(ctx, h, d.Name)
	if err != nil {
		return host.Result{}, err
	}
	defer s.Close()
	if now == nil {
		return host.Result{}, nil
	}
	holds, err := s.contents(ctx, d.Name)
	if err != nil {
		return host.Result{}, fmt.Errorf("looking at the database %s: %w", d.Name, err)
	}
	if more := holds.beyond(d.Loses); more != "" {
		return host.Result{}, fmt.Errorf("the database %s holds %s by now: %w", d.Name, more, host.ErrMoved)
	}
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	if err := s.do(ctx, "DROP DATABASE "+ident(d.Name)); err != nil {
		return host.Result{}, fmt.Errorf("dropping the database %s: %w", d.Name, err)
	}
	return host.Result{}, h.At("dropped the database")
}

// beyond names what c holds that was isn't said to have.
func (c contents) beyond(was contents) string {
	had := map[string]bool{}
	for _, t := range was.Tables {
		had[t] = true
	}
	for _, t := range c.Tables {
		if !had[t] {
			return "the table " + t
		}
	}
	if c.Views > was.Views {
		return "more views"
	}
	if c.Code > was.Code {
		return "more procedures, functions or events"
	}
	return ""
}
