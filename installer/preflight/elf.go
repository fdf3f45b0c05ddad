package preflight

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// The parts of an ELF file that matter here. debug/elf would do, but brings decompressors and
// DWARF into a program that lies on every node.
const (
	headerSize     = 64
	class32        = 1
	class64        = 2
	dataLittle     = 1
	dataBig        = 2
	segmentInterp  = 3
	maxSegments    = 256
	maxInterpBytes = 4096
)

// binaryFile is what an ELF header tells.
type binaryFile struct {
	Machine   uint16
	Bits      int
	BigEndian bool
	Loader    string // the dynamic loader it asks for; "" when static
}

var errTruncated = errors.New("the ELF header is cut off or damaged")

// readELF reads the header of a file that begins with the ELF magic.
func readELF(file io.ReaderAt) (binaryFile, error) {
	head := make([]byte, headerSize)
	if n, _ := file.ReadAt(head, 0); n < 52 { // the smaller, 32-bit header
		return binaryFile{}, errTruncated
	}
	order, bits, ok := identity(head)
	if !ok {
		return binaryFile{}, errTruncated
	}
	b := binaryFile{
		Machine:   order.Uint16(head[18:]),
		Bits:      bits,
		BigEndian: order == binary.ByteOrder(binary.BigEndian),
	}
	var err error
	b.Loader, err = loader(file, head, order, bits)
	return b, err
}

func identity(head []byte) (order binary.ByteOrder, bits int, ok bool) {
	switch head[5] {
	case dataLittle:
		order = binary.LittleEndian
	case dataBig:
		order = binary.BigEndian
	default:
		return nil, 0, false
	}
	switch head[4] {
	case class32:
		return order, 32, true
	case class64:
		return order, 64, true
	}
	return nil, 0, false
}

// loader finds the PT_INTERP segment among the program headers.
func loader(file io.ReaderAt, head []byte, order binary.ByteOrder, bits int) (string, error) {
	var table uint64
	var size, count uint16
	if bits == 64 {
		table, size, count = order.Uint64(head[32:]), order.Uint16(head[54:]), order.Uint16(head[56:])
	} else {
		table, size, count = uint64(order.Uint32(head[28:])), order.Uint16(head[42:]), order.Uint16(head[44:])
	}
	if count > maxSegments || (count > 0 && int(size) < bits/2) {
		return "", errTruncated
	}
	segment := make([]byte, size)
	for i := range uint64(count) {
		if _, err := file.ReadAt(segment, int64(table+i*uint64(size))); err != nil {
			return "", errTruncated
		}
		if order.Uint32(segment) == segmentInterp {
			return interp(file, segment, order, bits)
		}
	}
	return "", nil
}

func interp(file io.ReaderAt, segment []byte, order binary.ByteOrder, bits int) (string, error) {
	var offset, length uint64
	if bits == 64 {
		offset, length = order.Uint64(segment[8:]), order.Uint64(segment[32:])
	} else {
		offset, length = uint64(order.Uint32(segment[4:])), uint64(order.Uint32(segment[16:]))
	}
	if length > maxInterpBytes {
		return "", errTruncated
	}
	text := make([]byte, length)
	if _, err := file.ReadAt(text, int64(offset)); err != nil {
		return "", errTruncated
	}
	text, _, _ = bytes.Cut(text, []byte{0})
	return string(text), nil
}
