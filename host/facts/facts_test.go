package facts

import (
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// fakeRoot makes a root directory of files; "-> X" is a link to X, a name that
// ends in / an empty directory.
func fakeRoot(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		dir := filepath.Dir(path)
		if strings.HasSuffix(name, "/") {
			dir = path
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			err = os.Symlink(target, path)
		} else if dir != path {
			err = os.WriteFile(path, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestAHostIsReadFromItsFiles(t *testing.T) {
	root := fakeRoot(t, map[string]string{
		"etc/os-release":                   "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nID_LIKE='a b'\n",
		"proc/sys/kernel/osrelease":        "6.1.0-18-amd64\n",
		"proc/sys/kernel/hostname":         "db1\n",
		"proc/sys/kernel/random/boot_id":   "0b7a\n",
		"etc/hosts":                        "127.0.0.1 localhost\n# 10.0.0.1 db1.wrong db1\n10.0.1.13\tdb1.example.com db1 # here\n",
		"etc/localtime":                    "-> /usr/share/zoneinfo/Europe/Berlin",
		"etc/timezone":                     "Etc/UTC\n",
		"sys/fs/selinux/enforce":           "0",
		"proc/meminfo":                     "MemTotal:  2048 kB\nMemAvailable:  1024 kB\nSwapTotal: 512 kB\nHugePages_Total: 0\n",
		"sys/devices/system/cpu/online":    "0-3,8\n",
		"proc/cpuinfo":                     "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n",
		"proc/self/mounts":                 "proc /proc proc rw 0 0\n/dev/vda1 / ext4 rw,relatime 0 0\nnas:/a\\040b /mnt/a\\040b nfs4 rw 0 0\n",
		"proc/net/route":                   "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\nens4\t00000000\t0101010A\t0003\t0\t0\t200\t00000000\nens3\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\n",
		"etc/passwd":                       "root:x:0:0::/root:/bin/sh\ndaemon:x:1:1::/:/bin/sh\nops:x:900:900::/srv/ops:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nnobody:x:65534:1::/nonexistent:/bin/sh\n",
		"usr/bin/apt-get":                  "",
		"run/systemd/system/":              "",
		"bin/sh":                           "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x02\x00\xb7\x00rest",
		"sys/class/dmi/id/product_name":    "Standard PC (Q35 + ICH9, 2009)\n",
		"sys/class/dmi/id/sys_vendor":      "QEMU\n",
		"sys/devices/system/clocksource/x": "",
	})
	want := Facts{
		OS:           OS{ID: "debian", Like: []string{"a", "b"}, Name: "Debian GNU/Linux 12 (bookworm)", Version: "12", Codename: "bookworm"},
		Architecture: "arm64", Kernel: "6.1.0-18-amd64", Hostname: "db1", FQDN: "db1.example.com",
		Addresses:  Addresses{Interface: "ens3", Gateway: "10.0.0.1", IPv4: []string{}, IPv6: []string{}},
		Interfaces: map[string]Interface{},
		Memory:     Memory{Total: 2 << 20, Available: 1 << 20, Swap: 512 << 10},
		Processors: Processors{Count: 5, Model: "Some CPU @ 2 GHz"},
		Mounts: []Mount{
			{Path: "/", Device: "/dev/vda1", Type: "ext4", Options: "rw,relatime"},
			{Path: "/mnt/a b", Device: "nas:/a b", Type: "nfs4", Options: "rw"},
		},
		Virtualisation: "qemu", PackageManager: "apt", ServiceManager: "systemd",
		Homes: map[string]string{"root": "/root", "ops": "/srv/ops", "ann": "/home/ann"}, Login: "ops",
		BootID: "0b7a", Timezone: "Europe/Berlin", SELinux: "permissive",
	}
	if runtime.GOARCH == "s390x" || runtime.GOARCH == "ppc64" {
		want.Addresses.Gateway = "0.0.0.10" // the table is in the machine's byte order
	}
	if diff := cmp.Diff(want, gather(context.Background(), root, "ops")); diff != "" {
		t.Error(diff)
	}
}

func TestAnEmptyHostHasEmptyFacts(t *testing.T) {
	got, err := json.Marshal(gather(context.Background(), t.TempDir(), ""))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(got), "null") {
		t.Errorf("a fact is null: %s", got)
	}
}

func TestVirtualisation(t *testing.T) {
	hypervisor := "processor\t: 0\nflags\t\t: fpu hypervisor lahf_lm\n"
	bare := "processor\t: 0\nflags\t\t: fpu lahf_lm\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"nothing says otherwise":               {map[string]string{"proc/cpuinfo": bare}, "none"},
		"only the processor knows":             {map[string]string{"proc/cpuinfo": hypervisor}, "vm-other"},
		"KVM under QEMU's machine":             {map[string]string{"proc/cpuinfo": hypervisor, "sys/class/dmi/id/sys_vendor": "QEMU\n", "sys/devices/system/clocksource/clocksource0/available_clocksource": "kvm-clock tsc\n"}, "kvm"},
		"a machine of Amazon's":                {map[string]string{"proc/cpuinfo": hypervisor, "sys/class/dmi/id/sys_vendor": "Amazon EC2\n"}, "amazon"},
		"a whole machine of Amazon's":          {map[string]string{"proc/cpuinfo": bare, "sys/class/dmi/id/sys_vendor": "Amazon EC2\n"}, "none"},
		"a container in a machine":             {map[string]string{"proc/cpuinfo": hypervisor, ".dockerenv": ""}, "docker"},
		"a container that names itself":        {map[string]string{"run/systemd/container": "systemd-nspawn\n"}, "systemd-nspawn"},
		"a container known by its environment": {map[string]string{"proc/1/environ": "A=b\x00container=lxc\x00"}, "lxc"},
		"podman inside an OCI container":       {map[string]string{"proc/1/environ": "container=oci\x00", "run/.containerenv": ""}, "podman"},
		"an unknown container":                 {map[string]string{"run/systemd/container": "brig\x1b[2J\n"}, "container-other"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := gather(context.Background(), fakeRoot(t, c.files), "").Virtualisation; got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestHostileFilesAreBoundedAndHarmless(t *testing.T) {
	var passwd, mounts strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&passwd, "u%d:x:%d:1::/home/u%d:/bin/sh\n", i, 1000+i, i)
		if i < 700 {
			fmt.Fprintf(&mounts, "/dev/x /m%d ext4 %s 0 0\n", i, strings.Repeat("o", 9000))
		}
	}
	root := fakeRoot(t, map[string]string{
		"etc/os-release":                 "VERSION_ID=\xff\xfe\nID=\"" + strings.Repeat("é", 20000) + "\"\n",
		"proc/sys/kernel/hostname":       strings.Repeat("h", 1<<20),
		"proc/sys/kernel/random/boot_id": "a\x00b\n",
		"etc/passwd":                     passwd.String(),
		"proc/self/mounts":               mounts.String(),
		"proc/meminfo":                   "MemTotal: 99999999999999999999 kB\nMemAvailable: -5 kB\n",
		"sys/devices/system/cpu/online":  "0-4000000000,5-1,x\n",
		"proc/net/route":                 "a\nb c d\n" + strings.Repeat("x 00000000 zz 1 1 1 q 00000000\n", 9),
		"proc/net/ipv6_route":            strings.Repeat("0", 32) + " 00 x 00 zz 1 1 1 1 eth0\n",
	})
	if err := syscall.Mkfifo(filepath.Join(root, "etc/hosts"), 0o644); err != nil {
		t.Fatal(err)
	}
	done := make(chan Facts, 1)
	go func() { done <- gather(context.Background(), root, "root\xff") }()
	var f Facts
	select {
	case f = <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("gathering hangs")
	}
	data, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	if !utf8.Valid(data) || len(data) > 4<<20 {
		t.Errorf("the facts have %d bytes, valid UTF-8: %v", len(data), utf8.Valid(data))
	}
	if len(f.Homes) > maxHomes || len(f.Homes) < maxHomes/2 || len(f.Mounts) > maxMounts || len(f.Hostname) > maxText || len(f.OS.ID) > maxText {
		t.Errorf("%d homes, %d mounts, host name of %d bytes", len(f.Homes), len(f.Mounts), len(f.Hostname))
	}
	if f.OS.Version != "\uFFFD" || f.Login != "root\uFFFD" || f.Memory.Total != 0 || f.Processors.Count != 0 {
		t.Errorf("version %q, login %q, memory %d, processors %d", f.OS.Version, f.Login, f.Memory.Total, f.Processors.Count)
	}
	if !strings.HasSuffix(f.OS.ID, "é") {
		t.Errorf("a character was cut: %q", f.OS.ID[len(f.OS.ID)-3:])
	}
}

func TestTheLoginUserHasAHomeAmongManyOthers(t *testing.T) {
	var passwd strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&passwd, "u%d:x:%d:1::/home/u%d:/bin/sh\n", i, 1000+i, i)
	}
	passwd.WriteString("last:x:900:1::/home/last:/bin/sh\nroot:x:0:0::/root:/bin/sh\n")
	f := gather(context.Background(), fakeRoot(t, map[string]string{"etc/passwd": passwd.String()}), "last")
	if f.Homes["last"] != "/home/last" || f.Homes["root"] != "/root" || len(f.Homes) != maxHomes {
		t.Errorf("%d homes, last at %q, root at %q", len(f.Homes), f.Homes["last"], f.Homes["root"])
	}
}

func TestThisMachine(t *testing.T) {
	f := Gather(context.Background(), "root")
	if f.Kernel == "" || f.Hostname == "" || f.Architecture == "" || f.Memory.Total < 1<<20 || f.Processors.Count < 1 || f.BootID == "" || f.Homes["root"] == "" || len(f.Mounts) == 0 {
		t.Errorf("something is missing: %+v", f)
	}
	lo, ok := f.Interfaces["lo"]
	if !ok || lo.MTU == 0 {
		t.Errorf("no lo: %+v", f.Interfaces)
	}
	if host, err := os.Hostname(); err != nil || host != f.Hostname {
		t.Errorf("host name %q, want %q", f.Hostname, host)
	}
	if f.Mounts[0].Path == "/" && answersAtOnce(f.Mounts[0].Type) && f.Mounts[0].Size == 0 {
		t.Errorf("the root has no size: %+v", f.Mounts[0])
	}
}

func TestGatheringStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if f := Gather(ctx, ""); f.Kernel != "" || f.Homes == nil {
		t.Errorf("gathered %+v", f)
	}
}

func TestEveryFactIsInTheSchemaAndDocumented(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "facts.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	docs := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if s, ok := spec.Type.(*ast.StructType); ok {
			for _, f := range s.Fields.List {
				docs[spec.Name.Name+"."+f.Names[0].Name] = f.Doc.Text()
			}
		}
		return true
	})
	var walk func(fields []Field, value any, at string)
	walk = func(fields []Field, value any, at string) {
		m, ok := value.(map[string]any)
		if !ok || len(m) != len(fields) {
			t.Errorf("%s: the schema has %d fields, the JSON %d", at, len(fields), len(m))
			return
		}
		for _, f := range fields {
			v, there := m[f.Name]
			if !there {
				t.Errorf("%s.%s isn't in the JSON", at, f.Name)
			}
			if doc := strings.TrimSpace(docs[f.Type+"."+f.GoName]); !strings.HasSuffix(doc, ".") {
				t.Errorf("%s.%s has no documentation: %q", at, f.Name, doc)
			}
			switch f.Kind {
			case Object:
				walk(f.Fields, v, at+"."+f.Name)
			case List, Map:
				if f.Elem.Kind == Object {
					e := map[string]any{}
					for _, part := range f.Elem.Fields {
						e[part.Name] = nil
					}
					walk(f.Elem.Fields, e, at+"."+f.Name+"[]")
				}
			}
		}
	}
	data, err := json.Marshal(Gather(context.Background(), ""))
	if err != nil {
		t.Fatal(err)
	}
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		t.Fatal(err)
	}
	walk(Schema(), value, "facts")
}

func BenchmarkGather(b *testing.B) {
	for b.Loop() {
		Gather(context.Background(), "root")
	}
}
