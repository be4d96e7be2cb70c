package docker

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"muster/modules/file"
	"muster/modules/modulestest"
	"muster/modules/systemd"
)

// The cases take a host with Docker and a registry: tests/real.sh makes one.
func TestConformance(t *testing.T) {
	prepare(t)
	shared, err := filepath.Abs("testdata/engine.sh")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("ENGINE", shared)
	modulestest.Run(t, slices.Concat(Kinds(), file.Kinds(), systemd.Kinds())...)
}

// images makes the images of the cases, and pushes them to a registry on this host.
const imagesScript = `
command -v docker >/dev/null && command -v docker-registry >/dev/null && command -v busybox >/dev/null
printf 'version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: /var/lib/docker-registry\n  delete:\n    enabled: true\nhttp:\n  addr: 127.0.0.1:5000\n' >/etc/docker/registry/config.yml
systemctl restart docker-registry
for try in $(seq 100); do busybox wget -q -O /dev/null http://127.0.0.1:5000/v2/ && break; sleep 0.1; done
docker ps -aq | xargs -r docker rm -fv >/dev/null
d=$(mktemp -d)
mkdir -p $d/bin $d/etc $d/tmp
cp /bin/busybox $d/bin/
for name in sh cat sleep httpd wget ls id echo; do ln -s busybox $d/bin/$name; done
echo 'app:x:1234:2345::/:/bin/sh' >$d/etc/passwd
echo 'www:x:3456:' >$d/etc/group
cat >$d/serve <<'X'
#!/bin/sh
trap 'exit 0' TERM
trap 'echo reloaded >>/tmp/signals' HUP USR1
httpd -p 80 -h /etc
while :; do sleep 0.1; done
X
chmod +x $d/serve
image() {
	tag=$1; shift
	echo $tag >$d/etc/version
	tar -C $d -c . | docker import --change 'ENV FROM_IMAGE=yes' "$@" - 127.0.0.1:5000/app:$tag >/dev/null
	docker push -q 127.0.0.1:5000/app:$tag >/dev/null
}
image 1 --change 'CMD ["/serve"]'
image 2 --change 'CMD ["/serve"]'
image crash --change 'CMD ["/bin/sh","-c","echo no database here; exit 3"]'
image sick --change 'CMD ["/serve"]' --change 'HEALTHCHECK --interval=1s --timeout=2s --retries=1 CMD echo not well; exit 1'
image well --change 'CMD ["/serve"]' --change 'HEALTHCHECK --interval=1s --timeout=2s --retries=1 CMD true'
image data --change 'CMD ["/serve"]' --change 'VOLUME /data'
docker ps -aq | xargs -r docker rm -fv >/dev/null
docker images -q | sort -u | xargs -r docker rmi -f >/dev/null
rm -r $d
`

// prepare makes what the cases need, on a lab host that has Docker.
func prepare(t *testing.T) {
	if os.Getenv(modulestest.LabHost) == "" {
		return
	}
	sh(t, imagesScript)
	foreign(t, "app", "1", "arm", "arm64")
}

func sh(t *testing.T, script string) {
	t.Helper()
	if out, err := exec.Command("sh", "-euc", script).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// foreign has the registry on this host have an image for another architecture.
func foreign(t *testing.T, name, from, to, arch string) {
	t.Helper()
	const manifestType = "application/vnd.docker.distribution.manifest.v2+json"
	base := "http://127.0.0.1:5000/v2/" + name
	ask := func(method, url, typ string, body []byte) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", manifestType)
		req.Header.Set("Content-Type", typ)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode >= 300 {
			t.Fatalf("%s %s: %s", method, url, resp.Status)
		}
		return resp
	}
	get := func(url string) []byte {
		resp := ask(http.MethodGet, url, "", nil)
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	var manifest map[string]any
	if err := json.Unmarshal(get(base+"/manifests/"+from), &manifest); err != nil {
		t.Fatal(err)
	}
	config := manifest["config"].(map[string]any)
	data := bytes.Replace(get(base+"/blobs/"+config["digest"].(string)), []byte(`"architecture":"amd64"`), []byte(`"architecture":"`+arch+`"`), 1)
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256(data))
	place := ask(http.MethodPost, base+"/blobs/uploads/", "", nil)
	place.Body.Close()
	sep := "?"
	if strings.Contains(place.Header.Get("Location"), "?") {
		sep = "&"
	}
	ask(http.MethodPut, place.Header.Get("Location")+sep+"digest="+digest, "application/octet-stream", data).Body.Close()
	config["digest"], config["size"] = digest, len(data)
	encoded, err := json.Marshal(manifest)
	if err != nil {
		t.Fatal(err)
	}
	ask(http.MethodPut, base+"/manifests/"+to, manifestType, encoded).Body.Close()
}
