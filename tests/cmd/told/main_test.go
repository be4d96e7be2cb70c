package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestWhatIsNotSignedIsTurnedAway(t *testing.T) {
	const body = `{"changes":[{"event":"new","host":"web1","task":"file.motd"},{"event":"unchecked","host":"db1"}]}`
	// echo -n "5.$body" | openssl dgst -sha256 -hmac word
	const sum = "a5a27ee256d81def2e36d90606ef40889e028b53fcabd0a59fc4749297a0dde1"
	for header, want := range map[string]string{
		"t=5,v1=" + sum: "new        web1   file.motd\nunchecked  db1\n",
		"t=6,v1=" + sum: "",
		"t=5,v1=":       "",
		"":              "",
	} {
		var out bytes.Buffer
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("Muster-Signature", header)
		w := httptest.NewRecorder()
		receiver("word", &out).ServeHTTP(w, r)
		if out.String() != want || (w.Code == http.StatusOK) != (want != "") {
			t.Errorf("%q: status %d, printed %q", header, w.Code, out.String())
		}
	}
}
