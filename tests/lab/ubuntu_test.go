package lab

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// answer is a way to a mirror on which every file holds that.
type answer string

func (a answer) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Status: "200 OK", Body: io.NopCloser(strings.NewReader(string(a)))}, nil
}

func TestAKeyringThatIsNotThePinnedOneIsRefused(t *testing.T) {
	_, err := ubuntuKeys(t.Context(), &http.Client{Transport: answer("another")}, t.TempDir())
	if err == nil || !strings.Contains(err.Error(), ubuntuKeyringSum) {
		t.Errorf("another keyring: %v", err)
	}
}

func TestEachDistributionHasItsOwnMirror(t *testing.T) {
	for suite, want := range map[string]string{"trixie": "deb.debian.org", "sid": "deb.debian.org", "noble": ubuntuHost, "jammy": ubuntuHost} {
		for _, line := range sources(suite) {
			if !strings.Contains(line, "//"+want+"/") || !strings.Contains(line, suite) {
				t.Errorf("%s has the source %q", suite, line)
			}
		}
	}
}
