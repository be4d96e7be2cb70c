package host

import "fmt"

// Counted is a number of things as it is told: "1 session is", "2 sessions are".
func Counted[N int | int64 | uint64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
