package real

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// databaseHost is where a database server is installed.
const databaseHost = "cache1"

// mysqlRole is a playbook that uses the role mysql of this project, and makes a database and
// an account behind it.
func mysqlRole(t *testing.T, inputs string) string {
	t.Helper()
	project := t.TempDir() // a role is found in the project of its playbook
	roles, err := filepath.Abs("../../roles")
	if err == nil {
		err = os.Symlink(roles, filepath.Join(project, "roles"))
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(project, "muster.hcl"), nil, 0o600)
	}
	file := filepath.Join(project, "mysql.hcl")
	text := "play \"mysql\" {\n  hosts  = [\"" + databaseHost + "\"]\n  become = true\n  role \"mysql\" {\n    server_id = 31\n" + inputs + "\n  }\n" +
		"  task \"mysql_database\" \"app\" {}\n  task \"mysql_user\" \"app\" {\n    password   = \"geheim-4711\"\n    privileges = { \"app.*\" = [\"ALL PRIVILEGES\"] }\n  }\n}\n"
	if err == nil {
		err = os.WriteFile(file, []byte(text), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestADatabaseServerIsInstalledAndRunsWithItsSettings(t *testing.T) {
	command(t.Context(), t)
	clean := func() {
		_, _ = theLab.Host(databaseHost).Exec(context.Background(), "sh", "-c", `systemctl stop mariadb
			dpkg-query -W -f '${Package}\n' 'mariadb-*' | xargs -r apt-get purge -qy >/dev/null 2>&1
			rm -rf /etc/mysql /var/lib/mysql /var/lib/muster/mysql`)
	}
	clean()
	t.Cleanup(clean)

	file := mysqlRole(t, "    settings = { max_connections = 123 }")
	if r := muster(t, "plan", file); r.Code != 0 || !strings.Contains(r.Out, "install package mariadb-server") || !strings.Contains(r.Out, "+max_connections = 123") {
		t.Errorf("the plan doesn't show what is installed and set: exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	if r := muster(t, "plan", mysqlRole(t, "    flavor = \"mysql\"")); r.Code == 0 || !strings.Contains(r.Out+r.Err, "have no mysql-server") {
		t.Errorf("a server that this Debian doesn't have: exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	if r := muster(t, "apply", "--yes", file); r.Code != 0 || !strings.Contains(r.Out, "for log_bin") {
		t.Fatalf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	asked := func(want string) {
		t.Helper()
		on(t, databaseHost, `test "$(MYSQL_PWD=geheim-4711 mariadb -u app -N -e 'SELECT @@max_connections, @@server_id, @@log_bin, @@gtid_strict_mode')" = "`+want+`"`)
	}
	asked("123\t31\t1\t1")
	if r := muster(t, "apply", "--yes", file); !strings.Contains(r.Out, "Nothing to change") {
		t.Errorf("the second time: exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}

	// A name that the server doesn't know touches nothing.
	pid := on(t, databaseHost, "systemctl show -P MainPID mariadb")
	r := muster(t, "apply", "--yes", mysqlRole(t, "    settings = { max_conections = 99 }"))
	if r.Code == 0 || !strings.Contains(r.Out+r.Err, `Did you mean "max_connections"?`) {
		t.Errorf("an unknown setting: exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	// What can be set in the running server doesn't restart it.
	if r := muster(t, "apply", "--yes", mysqlRole(t, "    settings = { max_connections = 99 }")); r.Code != 0 {
		t.Errorf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	asked("99\t31\t1\t1")
	if now := on(t, databaseHost, "systemctl show -P MainPID mariadb"); now != pid {
		t.Error("the server was restarted for what could be set")
	}
	// What it doesn't start with is taken back.
	r = muster(t, "apply", "--yes", mysqlRole(t, "    settings = { max_connections = 99, innodb_page_size = 8192 }"))
	if r.Code == 0 || !strings.Contains(r.Out+r.Err, "has been taken back") || !strings.Contains(r.Out+r.Err, "page size") {
		t.Errorf("what it doesn't start with: exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	asked("99\t31\t1\t1")
}
