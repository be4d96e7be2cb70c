package rotate

import (
	"errors"
	"regexp"
	"strings"
	"time"

	"muster/tests/await"
	"muster/tests/lab"
)

// mysqlAppScene rotates the password of an application's account, which two hosts log in with
// on a primary and on its replica.
func mysqlAppScene() scene {
	s := mysqlScene("mysql_app", "mysql/app")
	s.kills = true
	s.hosts = []string{"db1", "db2", "app1", "app2"}
	s.load = straggling{onHosts{"app1", "app2"}}
	s.consumer = "app1"
	s.vars["old_sessions"] = "end"
	s.after = func(p *project) {
		p.t.Helper()
		if left := theLab.On(p.t, "db1", client+` -N -e 'SHOW PROCESSLIST' | grep -c 'SLEEP(' || true`); left != "0" {
			p.t.Errorf("%s sessions go on that were opened with the old value", left)
		}
	}
	s.vars["check"] = `["sh", "-c", "test \"$(tail -n 1 /var/log/load.served)\" = \"$(cat /etc/app/password)\""]`
	s.lets = func(p *project, value string) bool { return letsInto(p, "app2", "app", value, "db1", "db2") }
	s.steps = 8
	return s
}

// mysqlApplyScene is that of an account on one server where the rotation applies the site's own
// playbook: that sets the account's password, too, and keeps both until the old one is retired.
func mysqlApplyScene() scene {
	s := mysqlScene("mysql_app", "mysql/app")
	s.name, s.of, s.long = "mysql_app_apply", "mysql_app", true
	s.hosts = []string{"db1", "app1", "app2"}
	s.site = mysqlServers + mysqlApp
	s.vars["servers"], s.vars["loaded"] = `["db1"]`, "[]"
	s.load = onHosts{"app1", "app2"}
	s.consumer = "app1"
	begin, end := strings.Index(s.rotation, `  consumers "app" {`), strings.Index(s.rotation, "  verify {")
	s.rotation = s.rotation[:begin] + `  consumers "site" {
    apply = "../../site.hcl"
  }
` + s.rotation[end:]
	s.vars["check"] = `["sh", "-c", "test \"$(tail -n 1 /var/log/load.served)\" = \"$(cat /etc/app/password)\""]`
	s.lets = func(p *project, value string) bool { return letsInto(p, "app2", "app", value, "db1") }
	s.steps = 8
	return s
}

// mysqlNineScene is that of an account of MySQL 9, on one server: it keeps a second password
// where MariaDB has a second way to be let in.
func mysqlNineScene() scene {
	s := mysqlScene("mysql_app", "mysql/app")
	s.name, s.of, s.long = "mysql_app_mysql9", "mysql_app", true
	s.hosts, s.suites = []string{"db1", "app1", "app2"}, map[string]string{"db1": "sid"}
	s.site = strings.ReplaceAll(mysqlServers+mysqlApp, "mariadb -h", overTLS+" -h")
	s.vars["servers"], s.vars["loaded"], s.vars["flavor"] = `["db1"]`, "[]", "mysql"
	s.prepare = func(p *project) {
		p.t.Helper()
		switch err := theLab.Host("db1").Offers(p.t.Context(), "mysql-server"); {
		case errors.Is(err, lab.ErrNoPackage): // Debian's sid has it at times
			p.t.Skip(err)
		case err != nil:
			p.t.Fatal(err)
		}
	}
	s.load = onHosts{"app1", "app2"}
	s.consumer = "app1"
	s.lets = func(p *project, value string) bool { return letsInto(p, "app2", "app", value, "db1") }
	s.steps = 8
	return s
}

// overTLS is a client of MySQL 9, which takes a password that it hasn't in memory over TLS alone.
const overTLS = "mariadb --ssl"

// mysqlEightScene is that of an account which eight hosts log in with, two of which go over at
// once. It is timed.
func mysqlEightScene() scene {
	s := mysqlScene("mysql_app", "mysql/app")
	s.name, s.of, s.long, s.within = "mysql_app_8", "mysql_app", true, 10*time.Second
	s.hosts = []string{"app1", "app2", "cache1", "db1", "db2", "db3", "lb1", "log1"}
	s.site = mysqlServers + mysqlApp
	s.vars["servers"], s.vars["loaded"], s.vars["batch"], s.vars["pause"] = `["db1"]`, "[]", "2", "1"
	s.vars["consumers"] = `["` + strings.Join(s.hosts, `", "`) + `"]`
	s.load = onHosts(s.hosts)
	s.consumer = "app1"
	s.lets = func(p *project, value string) bool { return letsInto(p, "app2", "app", value, "db1") }
	s.steps = 8
	return s
}

// mysqlReplicationScene rotates the password of a replica, while it replicates.
func mysqlReplicationScene() scene {
	s := mysqlScene("mysql_replication", "mysql/replication")
	s.hosts = []string{"db1", "db2", "app2"}
	s.vars["consumers"] = `["app2"]`
	s.load = onHosts{"db1", "db2", "app2"}
	s.consumer = "db2"
	s.lets = func(p *project, value string) bool { return letsInto(p, "db1", "replication", value, "db1", "db2") }
	s.after = func(p *project) {
		p.t.Helper()
		// What the replica would connect with from now on is what lets it in.
		theLab.On(p.t, "db2", client+` -e 'STOP SLAVE IO_THREAD; START SLAVE IO_THREAD'`)
		await.Until(p.t, "the replica is connected anew", func() bool {
			return theLab.On(p.t, "db2", client+` -e 'SHOW SLAVE STATUS\G' | grep -c 'Slave_IO_Running: Yes' || true`) == "1"
		})
	}
	s.steps = 7
	return s
}

// straggling is load beside which a session is held that was opened before the rotation.
type straggling struct{ onHosts }

func (s straggling) begin(p *project) {
	p.t.Helper()
	s.onHosts.begin(p)
	held := func() bool {
		return theLab.On(p.t, "db1", client+` -N -e 'SHOW PROCESSLIST' | grep -c 'SLEEP(' || true`) != "0"
	}
	if held() { // one of a rotation that didn't come to its end
		return
	}
	theLab.On(p.t, "app2", `systemd-run --quiet --collect --setenv=MYSQL_PWD="$(cat /etc/app/password)" `+client+` -h 10.0.1.31 -u app -e 'SELECT SLEEP(900)'`)
	await.Until(p.t, "a session is held", held)
}

// mysqlScene is what the rotations of MariaDB's have in common.
func mysqlScene(name, secret string) scene {
	return scene{
		name:     name,
		secret:   secret,
		more:     []string{"mysql/app", "mysql/replication"},
		site:     mysqlServers + mysqlReplica + mysqlApp,
		rotation: shipped(name),
		vars:     map[string]string{"servers": `["db1", "db2"]`, "consumers": `["app1", "app2"]`, "loaded": `["db1", "db2"]`},
		acceptor: "db1",
		outage:   databaseOutage,
	}
}

const client = "mariadb"

// letsInto reports whether servers let an account in, the first of which is the primary: all
// have to say the same once they have caught up.
func letsInto(p *project, from, user, value string, servers ...string) bool {
	p.t.Helper()
	try := func(server string) bool {
		with := client
		if p.vars["flavor"] == "mysql" {
			with = overTLS
		}
		return theLab.On(p.t, from, "MYSQL_PWD="+value+" "+with+" -h "+theLab.Host(server).Address()+" -u "+user+" -N -e 'SELECT 1' 2>/dev/null || echo refused") == "1"
	}
	let := try(servers[0])
	for _, replica := range servers[1:] {
		if !await.True(p.t.Context(), func() bool { return try(replica) == let }) {
			p.t.Errorf("%s and %s don't both say %v to a value of %s", servers[0], replica, let, user)
		}
	}
	return let
}

// databaseOutage is what clients say of a server that has no power, or is starting.
var databaseOutage = regexp.MustCompile(`ERROR (2002|2003|2006|2013|2026|1053|1927) |behind`)

// mysqlServers has servers and two accounts.
const mysqlServers = `
variable "servers" { type = list(string) }
variable "consumers" { type = list(string) }
variable "loaded" {
  type    = list(string)
  default = []
}
variable "flavor" {
  type    = string
  default = "mariadb"
}
variable "pause" {
  type    = string
  default = "0.1"
}
play "packages" {
  hosts  = concat(var.servers, var.consumers)
  become = true
  task "package" "mariadb" {
    name = contains(var.servers, host.name) ? (var.flavor == "mysql" ? ["mysql-server"] : ["mariadb-server", "mariadb-backup"]) : ["mariadb-client"]
  }
}
play "servers" {
  hosts  = var.servers
  become = true
  role "mysql" {
    flavor    = var.flavor
    server_id = host.vars.server_id
    listen    = ["0.0.0.0"]
  }
}
play "primary" {
  hosts  = ["db1"]
  become = true
  task "mysql_database" "shop" {}
  task "mysql_user" "app" {
    host       = "%"
    password   = secret["mysql/app"]
    privileges = { "shop.*" = ["ALL PRIVILEGES"] }
  }
  task "mysql_user" "replication" {
    host       = "%"
    password   = secret["mysql/replication"]
    privileges = { "*.*" = ["REPLICATION SLAVE"] }
  }
}
`

// mysqlReplica has a replica, a writer on the primary, and on the replica somebody who looks
// whether that arrives.
const mysqlReplica = `
play "writer" {
  hosts  = ["db1"]
  become = true
  task "file" "/usr/local/bin/load" {
    mode    = "0755"
    content = <<-E
      #!/bin/sh
      mariadb -e 'CREATE TABLE IF NOT EXISTS shop.beat (at INT NOT NULL PRIMARY KEY)'
      while :; do
        if said=$(mariadb -e 'REPLACE INTO shop.beat VALUES (UNIX_TIMESTAMP())' 2>&1); then echo ok >>/var/log/load.served; else echo "$said" >>/var/log/load.failed; fi
        sleep 0.3
      done
    E
  }
}
play "replica" {
  hosts  = ["db2"]
  become = true
  task "mysql_replication" "replication" {
    primary       = "db1"
    address       = hosts["db1"].address
    user          = "replication"
    password      = secret["mysql/replication"]
    allow_destroy = ["db2"]
  }
  task "file" "/usr/local/bin/load" {
    mode    = "0755"
    content = <<-E
      #!/bin/sh
      while :; do
        said=$(mariadb -N -e 'SELECT UNIX_TIMESTAMP() - MAX(at) FROM shop.beat' 2>&1)
        case $said in
          [0-9]|1[0-4]) echo ok >>/var/log/load.served ;;
          *[!0-9]*) echo "$said" >>/var/log/load.failed ;;
          *) echo "the replica is $said s behind" >>/var/log/load.failed ;;
        esac
        sleep 0.3
      done
    E
  }
}
`

// mysqlApp has consumers, which log in on all servers all the time.
const mysqlApp = `
play "app" {
  hosts  = var.consumers
  become = true
  task "file" "/usr/local/bin/load" {
    mode    = "0755"
    content = <<-E
      #!/bin/sh
      MYSQL_PWD=$(cat /etc/app/password); export MYSQL_PWD
      while :; do
        for server in ${join(" ", [for s in var.servers : hosts[s].address])}; do
          if said=$(mariadb -h $server -u app -N -e 'SELECT 1' 2>&1); then echo $MYSQL_PWD >>/var/log/load.served; else echo "$server: $said" >>/var/log/load.failed; fi
        done
        sleep ${var.pause}
      done
    E
  }
  task "directory" "/etc/app" {
    mode = "0700"
  }
  task "file" "/etc/app/password" {
    mode    = "0600"
    content = secret["mysql/app"]
  }
}
play "load" {
  hosts  = concat(var.loaded, var.consumers)
  become = true
  task "unit" "app.service" {
    content = <<-E
      [Service]
      ExecStart=/usr/local/bin/load
      [Install]
      WantedBy=multi-user.target
    E
  }
  task "service" "app" {
    enabled    = true
    restart_on = contains(var.consumers, host.name) ? ["/etc/app/password"] : []
  }
}
`
