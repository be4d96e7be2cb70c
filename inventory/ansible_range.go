package inventory

import (
	"fmt"
	"strconv"
	"strings"
)

// expand returns the names that a name with ranges stands for: web[01:10] and
// db-[a:f], both ends included, with a step after another colon. Several
// ranges give every combination.
func expand(pattern string) ([]string, error) {
	head, rest, ok := strings.Cut(pattern, "[")
	if !ok {
		return []string{pattern}, nil
	}
	inside, tail, ok := strings.Cut(rest, "]")
	if !ok {
		return nil, fmt.Errorf("%s: a bracket is not closed; %w", quote(pattern), errRange)
	}
	words, err := rangeWords(inside)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", quote(pattern), err)
	}
	tails, err := expand(tail)
	if err != nil {
		return nil, err
	}
	if len(words)*len(tails) > maxRange {
		return nil, fmt.Errorf("%s: this stands for more than %d hosts", quote(pattern), maxRange)
	}
	names := make([]string, 0, len(words)*len(tails))
	for _, w := range words {
		for _, t := range tails {
			names = append(names, head+w+t)
		}
	}
	return names, nil
}

// rangeWords lists what stands between the brackets of a range.
func rangeWords(inside string) ([]string, error) {
	parts := strings.Split(inside, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return nil, errRange
	}
	step := 1
	if len(parts) == 3 {
		n, err := strconv.Atoi(parts[2])
		if err != nil || n < 1 || n > maxRange {
			return nil, errRange
		}
		step = n
	}
	first, last := parts[0], parts[1]
	if len(first) == 1 && len(last) == 1 && letter(first[0]) && letter(last[0]) {
		var words []string
		for c := int(first[0]); c <= int(last[0]); c += step {
			words = append(words, string(rune(c)))
		}
		return words, backwards(words)
	}
	from := 0
	if first != "" {
		n, err := strconv.Atoi(first)
		if err != nil || n < 0 {
			return nil, errRange
		}
		from = n
	}
	to, err := strconv.Atoi(last)
	if err != nil || to < 0 {
		return nil, errRange
	}
	width := 0
	if strings.HasPrefix(first, "0") && len(first) > 1 {
		if width = len(first); width != len(last) {
			return nil, fmt.Errorf("both ends of a range that begins with 0 have as many digits")
		}
	}
	if to-from >= maxRange*step {
		return nil, fmt.Errorf("this stands for more than %d hosts", maxRange)
	}
	var words []string
	for n := from; n <= to; n += step {
		words = append(words, fmt.Sprintf("%0*d", width, n))
	}
	return words, backwards(words)
}

func backwards(words []string) error {
	if len(words) == 0 {
		return fmt.Errorf("the range ends before it begins")
	}
	return nil
}

func letter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
