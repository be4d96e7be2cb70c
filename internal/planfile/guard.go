package planfile

import (
	"bytes"
	"fmt"
	"io"
	"strconv"

	"muster/host"
	"muster/secret"
)

// Guard keeps secrets that the run came upon, which its redactor knows, from
// being saved in clear where nothing else says that they are there: files and
// inventories that hold one become sensitive, variables are withheld, and in
// what was shown it is hidden. It is called when the rest of the plan is
// there, Key included, before Write.
func (p *Plan) Guard(redactor *secret.Redactor) error {
	var needles [][]byte
	for _, s := range redactor.Known() { // also short ones: sealing too much garbles nothing
		needles = append(needles, []byte(s))
		if quoted := strconv.Quote(s); quoted != `"`+s+`"` {
			needles = append(needles, []byte(quoted[1:len(quoted)-1])) // as HCL and JSON write it
		}
	}
	if len(needles) == 0 {
		return nil
	}
	for i := range p.Files {
		f := &p.Files[i]
		if f.Type != Regular || f.Sensitive {
			continue
		}
		found, err := f.holds(needles)
		if err != nil {
			return fmt.Errorf("saving the plan: reading %s: %w", f.Name, err)
		}
		f.Sensitive = found
	}
	for _, part := range p.Inventory {
		p.SealInventory = p.SealInventory || holds(part, needles)
	}
	for i := range p.Variables {
		if v := &p.Variables[i]; !v.Withheld && (holds([]byte(v.Text), needles) || holds(v.Value, needles)) {
			*v = Variable{Name: v.Name, Origin: v.Origin, Withheld: true, Sum: v.sum(p.Key)}
		}
	}
	for i := range p.Tasks {
		p.Tasks[i].hide(redactor)
	}
	return nil
}

func holds(data []byte, needles [][]byte) bool {
	for _, n := range needles {
		if bytes.Contains(data, n) {
			return true
		}
	}
	return false
}

// holds reads the file piece by piece.
func (f *File) holds(needles [][]byte) (bool, error) {
	longest := 0
	for _, n := range needles {
		longest = max(longest, len(n))
	}
	r, err := f.Open()
	if err != nil {
		return false, err
	}
	defer r.Close()
	const piece = 1 << 20
	buf := make([]byte, 0, piece+longest)
	for {
		n, err := io.ReadFull(r, buf[len(buf):len(buf)+piece])
		buf = buf[:len(buf)+n]
		if holds(buf, needles) {
			return true, nil
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		keep := min(longest, len(buf))
		buf = append(buf[:0], buf[len(buf)-keep:]...)
	}
}

// hide takes secrets out of what was shown.
func (t *Task) hide(r *secret.Redactor) {
	t.Error = r.Redact(t.Error)
	t.Changes, t.Then = hidden(r, t.Changes), hidden(r, t.Then)
}

func hidden(r *secret.Redactor, list []host.Description) []host.Description {
	out := make([]host.Description, 0, len(list)) // the caller's is left as it is
	for _, d := range list {
		out = append(out, host.Description{Action: d.Action, Target: r.Redact(d.Target), Diff: r.Redact(d.Diff), Impact: r.Redact(d.Impact)})
	}
	return out
}
