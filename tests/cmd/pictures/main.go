// Pictures makes the pictures of the report page that docs/night.md shows, and those of
// the terminal in docs/screen.md:
//
//	pictures FOLDER
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"

	"muster/tests/browser"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "pictures:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: pictures FOLDER")
	}
	html, err := browser.Sample()
	if err != nil {
		return err
	}
	for name, w := range map[string]browser.Window{
		"report-light.png":  {Width: 1000, Height: 1560},
		"report-dark.png":   {Width: 1000, Height: 1560, Dark: true},
		"report-narrow.png": {Width: 390, Height: 1500},
	} {
		if err := picture(html, filepath.Join(args[0], name), w); err != nil {
			return err
		}
	}
	return terminals(args[0])
}

// picture makes one, with the first task that has a diff open.
func picture(html, file string, w browser.Window) error {
	dir, err := os.MkdirTemp("", "pictures-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p, err := browser.Open(context.Background(), dir, html, w)
	if err != nil {
		return err
	}
	defer p.Close()
	if _, err := browser.Evaluate[bool](p, `document.querySelector('details').open = true`); err != nil {
		return err
	}
	return save(p, file)
}

// save writes a picture of what a page shows.
func save(p *browser.Page, file string) error {
	text, err := p.Picture()
	if err != nil {
		return err
	}
	if text, err = small(text); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}

// small is a picture with twenty-two shades of each colour, which is a third of the bytes.
func small(text []byte) ([]byte, error) {
	from, err := png.Decode(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	to := image.NewPaletted(from.Bounds(), nil)
	at := map[color.RGBA]uint8{}
	for y := range to.Rect.Dy() {
		for x := range to.Rect.Dx() {
			r, g, b, _ := from.At(x, y).RGBA()
			c := color.RGBA{shade(r), shade(g), shade(b), 255}
			n, ok := at[c]
			if !ok {
				if len(at) == 256 {
					return text, nil
				}
				n = uint8(len(at))
				at[c], to.Palette = n, append(to.Palette, c)
			}
			to.SetColorIndex(x, y, n)
		}
	}
	var out bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, to)
	return out.Bytes(), err
}

func shade(v uint32) uint8 { return uint8((v*21 + 0x7fff) / 0xffff * 255 / 21) }
