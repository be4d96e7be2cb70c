package probe

import (
	"fmt"
	"regexp"
	"strconv"
)

// statusRange is the status codes from and to, and those between.
type statusRange struct{ from, to int }

func (r statusRange) String() string {
	if r.from == r.to {
		return strconv.Itoa(r.from)
	}
	return fmt.Sprintf("%d-%d", r.from, r.to)
}

var statusForm = regexp.MustCompile(`^(?:([1-5])xx|([1-5][0-9][0-9])(?:-([1-5][0-9][0-9]))?)$`)

// statuses reads what a playbook says of status codes: a number, a string, or
// a list of them; nothing means 200.
func statuses(value any) ([]statusRange, error) {
	switch x := value.(type) {
	case nil:
		return []statusRange{{200, 200}}, nil
	case []any:
		var list []statusRange
		for _, e := range x {
			if e == nil {
				return nil, fmt.Errorf("a status code can't be null")
			}
			one, err := statuses(e)
			if err != nil {
				return nil, err
			}
			list = append(list, one...)
		}
		if len(list) == 0 {
			return nil, fmt.Errorf("the list of status codes is empty: no answer would be right")
		}
		return list, nil
	}
	m := statusForm.FindStringSubmatch(fmt.Sprint(value))
	if m == nil {
		shown := fmt.Sprint(value)
		if text, ok := value.(string); ok {
			shown = strconv.Quote(text)
		}
		return nil, fmt.Errorf("%s is no status code: write 200, \"200-299\", \"2xx\", or a list of these", shown)
	}
	if m[1] != "" {
		class, _ := strconv.Atoi(m[1])
		return []statusRange{{class * 100, class*100 + 99}}, nil
	}
	from, _ := strconv.Atoi(m[2])
	to := from
	if m[3] != "" {
		to, _ = strconv.Atoi(m[3])
	}
	if to < from {
		return nil, fmt.Errorf("%v is no range of status codes: it ends before it begins", value)
	}
	return []statusRange{{from, to}}, nil
}
