package facts

import (
	"math"
	"strings"

	"golang.org/x/sys/unix"
)

// kernelOnly are the file systems that only show the kernel.
func kernelOnly(fsType string) bool {
	switch fsType {
	case "proc", "sysfs", "cgroup", "cgroup2", "devpts", "devtmpfs", "mqueue", "securityfs", "debugfs", "tracefs", "pstore", "bpf",
		"configfs", "fusectl", "hugetlbfs", "autofs", "binfmt_misc", "efivarfs", "rpc_pipefs", "nsfs", "selinuxfs", "nfsd":
		return true
	}
	return false
}

// answersAtOnce reports whether a file system can be asked for its size
// without waiting for a server or a program.
func answersAtOnce(fsType string) bool {
	switch fsType {
	case "ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "vfat", "exfat", "ntfs3", "tmpfs", "ramfs", "overlay", "squashfs",
		"erofs", "iso9660", "udf", "jfs", "reiserfs", "bcachefs", "nilfs2":
		return true
	}
	return false
}

func (r reader) mounts(f *Facts) {
	r.lines("/proc/self/mounts", func(line string) bool {
		words := strings.Fields(line)
		if len(words) < 4 || kernelOnly(words[2]) {
			return true
		}
		path := unescape(words[1])
		m := Mount{Path: text(path), Device: text(unescape(words[0])), Type: text(words[2]), Options: clip(unescape(words[3]), maxOptions)}
		var st unix.Statfs_t
		if r.root == "" && answersAtOnce(words[2]) && unix.Statfs(path, &st) == nil {
			m.Size, m.Available = bytes(st.Blocks, int64(st.Bsize)), bytes(st.Bavail, int64(st.Bsize))
		}
		f.Mounts = append(f.Mounts, m)
		return len(f.Mounts) < maxMounts
	})
}

func bytes(blocks uint64, size int64) int64 {
	if size <= 0 || blocks > math.MaxInt64/uint64(size) {
		return 0
	}
	return int64(blocks) * size
}

// unescape reads the octal escapes of fstab(5): "\040" is a space.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && octal(s[i+1]) && octal(s[i+2]) && octal(s[i+3]) {
			b.WriteByte((s[i+1]-'0')<<6 | (s[i+2]-'0')<<3 | (s[i+3] - '0'))
			i += 3
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func octal(c byte) bool { return c >= '0' && c <= '7' }
