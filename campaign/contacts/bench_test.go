package contacts_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/gocarina/gocsv"

	"campaign-runner/campaign/contacts"
)

const benchRows = 200_000

// benchFile has rows of a phone number and four values.
func benchFile(prefix string) []byte {
	var b bytes.Buffer
	b.WriteString("phone,name,company,city,order_id\n")
	for i := range benchRows {
		fmt.Fprintf(&b, "%s%08d,محمد العتيبي %d,شركة النور,Riyadh,A-%d\n", prefix, i, i%1000, i)
	}
	return b.Bytes()
}

func benchRead(b *testing.B, prefix string) {
	file := benchFile(prefix)
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := contacts.NewReader(bytes.NewReader(file), contacts.Options{Region: "SA"})
		if err != nil {
			b.Fatal(err)
		}
		for _, err := range r.All() {
			if err != nil {
				b.Fatal(err)
			}
		}
		if n := r.Counts().Contacts; n != benchRows {
			b.Fatalf("%d contacts, want %d", n, benchRows)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/row")
}

func BenchmarkReadE164(b *testing.B)  { benchRead(b, "+9665") }
func BenchmarkReadLocal(b *testing.B) { benchRead(b, "05") }

// BenchmarkBareCSV is the baseline: encoding/csv alone, at its fastest.
func BenchmarkBareCSV(b *testing.B) {
	file := benchFile("+9665")
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		r := csv.NewReader(bytes.NewReader(file))
		r.ReuseRecord = true
		for {
			if _, err := r.Read(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/row")
}

// BenchmarkGocsv measures what the package doc says about gocsv: rows read one by one
// into the phone and a map of the rest.
func BenchmarkGocsv(b *testing.B) {
	file := benchFile("+9665")
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		type row struct {
			Phone string `csv:"phone"`
		}
		u, err := gocsv.NewUnmarshaller(csv.NewReader(bytes.NewReader(file)), row{})
		if err != nil {
			b.Fatal(err)
		}
		for {
			if _, _, err := u.ReadUnmatched(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/row")
}
