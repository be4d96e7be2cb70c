// Command told is a receiver of webhooks for make night: it answers on a port of this
// machine, and prints what each message says that muster has sent there, after it has
// looked at its signature.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: told ADDRESS SECRET")
		os.Exit(2)
	}
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "told:", err)
		os.Exit(1)
	}
	fmt.Println("listening")
	err = http.Serve(listener, receiver(os.Args[2], os.Stdout))
	fmt.Fprintln(os.Stderr, "told:", err)
	os.Exit(1)
}

// receiver prints to out what it is sent, if it is signed with the secret.
func receiver(secret string, out io.Writer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil || !signed(r.Header.Get("Muster-Signature"), secret, body) {
			http.Error(w, "it isn't signed", http.StatusForbidden)
			return
		}
		var m struct {
			Changes []struct{ Event, Host, Task string }
		}
		if err := json.Unmarshal(body, &m); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		for _, c := range m.Changes {
			fmt.Fprintln(out, strings.TrimRight(fmt.Sprintf("%-10s %-6s %s", c.Event, c.Host, c.Task), " "))
		}
	})
}

// signed reports whether a header t=TIME,v1=SUM has the sum of a body by a secret.
func signed(header, secret string, body []byte) bool {
	at, sum, _ := strings.Cut(header, ",")
	at, ok := strings.CutPrefix(at, "t=")
	sum, ok2 := strings.CutPrefix(sum, "v1=")
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%s.%s", at, body)
	return ok && ok2 && hmac.Equal([]byte(hex.EncodeToString(mac.Sum(nil))), []byte(sum))
}
