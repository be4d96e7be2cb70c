package journal

import "testing"

func TestIDsAreTakenApart(t *testing.T) {
	for id, want := range map[string]place{
		`0/task.file.motd`:                                          {"", "motd", ""},
		`12/task.file["/etc/motd"]`:                                 {"", "/etc/motd", ""},
		`0/task.file.a["k"]`:                                        {"", "a", "k"},
		`0/task.file["a\"]["]["k]\"/x"]`:                            {"", `a"][`, `k]"/x`},
		`0/role.web/task.command.reload`:                            {"web", "reload", ""},
		`0/role.web["a/b"]/role["in.ner"]["x"]/task.file["é"]["y"]`: {`web["a/b"]/in.ner["x"]`, "é", "y"},
		`0/role.web/task.file["/etc/role.x/task.file.y"]`:           {"web", "/etc/role.x/task.file.y", ""},
		``: {}, `0/`: {}, `0/role`: {}, `0/role["`: {}, `0/task.`: {}, `0/task.file["x`: {}, `0/task.file`: {}, `x`: {},
	} {
		if got := placeOf(id); got != want {
			t.Errorf("%s: %+v, want %+v", id, got, want)
		}
	}
}
