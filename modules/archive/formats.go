package archive

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"muster/host"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// maxWindow is the most memory that an archive may want for what it refers back to, in bytes:
// what "xz -9" and "zstd --long=26" want.
const maxWindow = 64 << 20

// formats is what can be unpacked, for an error.
const formats = "a tar file, as it is or packed by gzip, xz, zstd or bzip2, or a zip file"

// limits is what may be unpacked at most.
type limits struct {
	size  int64 // bytes
	files int
}

// errTooMuch is an archive that holds more than it may.
var errTooMuch = errors.New("the archive holds more")

func (l limits) tooLarge() error {
	return fmt.Errorf("%w than %d MiB: raise max_size if that is right", errTooMuch, l.size>>20)
}

// stream is how many bytes a tar file may have: its headers take room, too.
func (l limits) stream() int64 { return l.size + int64(l.files)*2048 + 1<<20 }

// each calls do for each thing in an archive, in order. A zip file, which can't be read as it
// comes, is kept in a file of spool's meanwhile.
func each(ctx context.Context, r io.Reader, most limits, spool func() (spooled, error), do func(item) error) error {
	in := bufio.NewReaderSize(&ending{ctx, r}, 64<<10)
	head, err := in.Peek(262)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if zipped(head) {
		return eachZip(in, most, spool, do)
	}
	out, format, err := unpacked(in, head)
	if err != nil {
		return fmt.Errorf("it can't be unpacked as %s: %w", format, err)
	}
	if c, ok := out.(io.Closer); ok {
		defer c.Close()
	}
	bounded := &bounded{r: out, left: most.stream(), most: most}
	if err := eachTar(bounded, do); err != nil {
		return fmt.Errorf("reading it as %s: %w", format, err)
	}
	// To the end of it all: only there is known that nothing is damaged.
	if _, err := io.Copy(io.Discard, bounded); err != nil {
		return fmt.Errorf("reading it as %s: %w", format, err)
	}
	_, err = io.Copy(io.Discard, in)
	return err
}

// unpacked reads what is packed, as it begins.
func unpacked(in *bufio.Reader, head []byte) (io.Reader, string, error) {
	begins := func(magic ...byte) bool { return bytes.HasPrefix(head, magic) }
	switch {
	case begins(0x1f, 0x8b):
		r, err := gzip.NewReader(in)
		return r, "tar packed by gzip", err
	case begins(0xfd, '7', 'z', 'X', 'Z', 0):
		if window := xzWindow(head); window > maxWindow {
			return nil, "tar packed by xz", fmt.Errorf("it wants %d MiB of memory, and %d are the most", window>>20, maxWindow>>20)
		}
		r, err := xz.ReaderConfig{DictCap: 1 << 16}.NewReader(in)
		return r, "tar packed by xz", err
	case begins(0x28, 0xb5, 0x2f, 0xfd), len(head) > 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:4], []byte{0x2a, 0x4d, 0x18}): // or a frame to be skipped: RFC 8878, 3.1.2
		r, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, "tar packed by zstd", err
		}
		return r.IOReadCloser(), "tar packed by zstd", nil
	case begins('B', 'Z', 'h'):
		return bzip2.NewReader(in), "tar packed by bzip2", nil
	case len(head) >= 262 && string(head[257:262]) == "ustar", len(head) >= 262 && tarChecksum(in):
		return in, "tar", nil
	}
	return nil, "an archive", errors.New("it is none of the kinds that are known: " + formats)
}

// tarChecksum reports whether what comes is a header of tar's first form, which has no name.
func tarChecksum(in *bufio.Reader) bool {
	block, err := in.Peek(512)
	if err != nil {
		return false
	}
	_, err = tar.NewReader(bytes.NewReader(block)).Next()
	return err == nil || errors.Is(err, io.EOF)
}

// xzWindow is the memory that the first block of an xz file wants: the property of its LZMA2
// filter, whose number is 0x21 (The .xz File Format, 5.3.1).
func xzWindow(head []byte) int64 {
	const header = 12
	if len(head) < header+2 {
		return 0
	}
	at := header + 2
	for _, sized := range []byte{0x40, 0x80} { // two lengths, of seven bits a byte
		for head[header+1]&sized != 0 && at < len(head) {
			at++
			if head[at-1]&0x80 == 0 {
				break
			}
		}
	}
	if at+2 >= len(head) || head[at] != 0x21 || head[at+1] != 1 {
		return 0 // for the library to refuse
	}
	bits := head[at+2]
	if bits >= 40 {
		return 4 << 30
	}
	return int64(2|bits&1) << (bits/2 + 11)
}

// ending is a reader that ends when its context does.
type ending struct {
	ctx context.Context
	r   io.Reader
}

func (e *ending) Read(p []byte) (int, error) {
	if e.ctx.Err() != nil {
		return 0, context.Cause(e.ctx)
	}
	return e.r.Read(p)
}

// bounded is a reader of so many bytes at most.
type bounded struct {
	r    io.Reader
	left int64
	most limits
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, b.most.tooLarge()
	}
	return n, err
}

// eachTar reads a tar file.
func eachTar(r io.Reader, do func(item) error) error {
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		i := item{name: h.Name, mode: host.Mode(h.Mode & 0o777), size: h.Size, modified: h.ModTime}
		switch h.Typeflag {
		case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
			i.typ, i.body = host.Regular, func() (io.ReadCloser, error) { return io.NopCloser(t), nil }
		case tar.TypeDir:
			i.typ = host.Directory
		case tar.TypeSymlink:
			i.typ, i.target = host.Symlink, h.Linkname
		case tar.TypeLink:
			i.typ, i.target, i.hard = host.Regular, h.Linkname, true
		case tar.TypeXGlobalHeader:
			continue
		case tar.TypeChar, tar.TypeBlock:
			i.refused = "a device"
		case tar.TypeFifo:
			i.refused = "a named pipe"
		default:
			i.refused = fmt.Sprintf("of a type that isn't known, %q", h.Typeflag)
		}
		if err := do(i); err != nil {
			return err
		}
	}
}

func zipped(head []byte) bool {
	return bytes.HasPrefix(head, []byte("PK\x03\x04")) || bytes.HasPrefix(head, []byte("PK\x05\x06"))
}

// spooled is a file that an archive is kept in while it is unpacked.
type spooled interface {
	io.Writer
	io.ReaderAt
	io.Closer
}

// eachZip reads a zip file.
func eachZip(r io.Reader, most limits, spool func() (spooled, error), do func(item) error) error {
	f, err := spool()
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := io.Copy(f, &bounded{r: r, left: most.stream(), most: most})
	if err != nil {
		return err
	}
	z, err := zip.NewReader(f, size)
	if err != nil {
		return fmt.Errorf("it can't be unpacked as a zip file: %w", err)
	}
	for _, file := range z.File {
		mode := file.Mode()
		i := item{name: file.Name, mode: host.Mode(mode.Perm()), modified: file.Modified, body: file.Open}
		switch {
		case file.Flags&1 != 0:
			i.refused = "encrypted"
		case mode.IsDir():
			i.typ = host.Directory
		case mode.IsRegular():
			i.typ, i.size = host.Regular, int64(min(file.UncompressedSize64, 1<<62))
			if file.CreatorVersion>>8 != 3 && file.CreatorVersion>>8 != 19 { // not of Unix or macOS: there are no permissions
				i.mode = 0o644
			}
		case mode&fs.ModeSymlink != 0:
			i.typ = host.Symlink
			if i.target, err = linkIn(file); err != nil {
				return err
			}
		default:
			i.refused = "a device"
		}
		if err := do(i); err != nil {
			return err
		}
	}
	return nil
}

// linkIn is where a link of a zip file leads: its content.
func linkIn(file *zip.File) (string, error) {
	r, err := file.Open()
	if err != nil {
		return "", fmt.Errorf("%s: %w", file.Name, err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, 4097))
	if err != nil {
		return "", fmt.Errorf("%s: %w", file.Name, err)
	}
	if len(data) > 4096 {
		return "", fmt.Errorf("the link %s leads to a name of more than 4096 bytes", file.Name)
	}
	return string(data), nil
}
