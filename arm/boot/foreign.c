// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. A flat binary has no magic number of its own, so what is in this list is
 * what keeps a file of another kind from being run as one. Its instructions may be any bytes, so a
 * number has 24 bits at least, and 28 where the format gives them: what a format's first bytes
 * leave open is made up by further ones that all of its files have.
 */
#include <stdbool.h>
#include <string.h>

#include "foreign.h"
#include "util.h"

#define UNPACK	"; unpack it first"
#define RAW	"; as a disk (--disk) it has to be a raw image"
#define AS_DISK "; give it as a disk (--disk)"

struct foreign {
	int64_t offset; /* in the file; negative: from its end */
	const char *magic;
	size_t length;
	const char *mask; /* of the bits that count; NULL: all of them */
	const char *complaint;
};

/* A string's bytes and how many they are, without the NUL. */
#define MAGIC(string) string, sizeof(string) - 1

static const struct foreign list[] = {
	{ 0, MAGIC("\177ELF"), NULL,
	  "is an ELF file; nidus boots arch/arm64/boot/Image, or what objcopy -O binary makes" },

	/* Compressed, in ways that nidus does not unpack, or for the second time. */
	{ 0, MAGIC("\x1f\x8b\x08"), NULL, "is gzip-compressed" UNPACK },
	{ 0, MAGIC("\x28\xb5\x2f\xfd"), NULL, "is zstd-compressed" UNPACK },
	{ 0, MAGIC("\x50\x2a\x4d\x18"), "\xf0\xff\xff\xff", "is zstd-compressed" UNPACK },
	{ 0, MAGIC("BZh01AY&SY"), "\xff\xff\xff\xf0\xff\xff\xff\xff\xff\xff",
	  "is bzip2-compressed" UNPACK },
	{ 0, MAGIC("BZh0\x17\x72\x45\x38\x50\x90"), "\xff\xff\xff\xf0\xff\xff\xff\xff\xff\xff",
	  "is bzip2-compressed" UNPACK },
	{ 0, MAGIC("\3757zXZ\0"), NULL, "is xz-compressed" UNPACK },
	/* The size is unknown, which is -1, or less than a TiB. */
	{ 0, MAGIC("\x5d\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"),
	  "\xff\xff\xff\0\0\xff\xff\xff\xff\xff\xff\xff\xff", "is lzma-compressed" UNPACK },
	{ 0, MAGIC("\x5d\0\0\0\0\0\0\0\0\0\0\0\0"), "\xff\xff\xff\0\0\0\0\0\0\0\xff\xff\xff",
	  "is lzma-compressed" UNPACK },
	{ 0, MAGIC("\x89LZO\0\r\n\x1a\n"), NULL, "is lzo-compressed" UNPACK },
	{ 0, MAGIC("\x04\x22\x4d\x18"), NULL, "is lz4-compressed" UNPACK },
	{ 0, MAGIC("\x02\x21\x4c\x18"), NULL, "is lz4-compressed" UNPACK },
	{ 0, MAGIC("MZ\0\0zimg"), NULL, "is an EFI zboot image" UNPACK },

	/* Kernels of other machines, and kernels with something around them. */
	{ 0x202, MAGIC("HdrS"), NULL, "is an x86 kernel" },
	{ 0x24, MAGIC("\x18\x28\x6f\x01"), NULL, "is a kernel for 32-bit Arm (zImage)" },
	{ 0x38, MAGIC("RSC\x05"), NULL, "is a RISC-V kernel" },
	{ 0, MAGIC("\x27\x05\x19\x56"), NULL,
	  "is a U-Boot image (uImage); take the kernel out of it with dumpimage" },
	{ 0, MAGIC("ANDROID!"), NULL,
	  "is an Android boot image; take the kernel out of it with unpack_bootimg" },
	{ 0, MAGIC("VNDRBOOT"), NULL,
	  "is an Android vendor boot image, which has no kernel in it" },
	{ 0, MAGIC("\xd0\x0d\xfe\xed"), NULL,
	  "is a device tree blob, or a FIT image; take the kernel out of the latter with dumpimage" },

	/* Archives. */
	{ 0, MAGIC("070701"), NULL, "is a cpio archive; an initial RAM disk goes to --initrd" },
	{ 0, MAGIC("070702"), NULL, "is a cpio archive; an initial RAM disk goes to --initrd" },
	{ 0, MAGIC("070707"), NULL, "is a cpio archive; an initial RAM disk goes to --initrd" },
	{ 0x101, MAGIC("ustar"), NULL, "is a tar archive" UNPACK },
	{ 0, MAGIC("PK\3\4"), NULL, "is a zip archive" UNPACK },
	{ 0, MAGIC("7z\xbc\xaf\x27\x1c"), NULL, "is a 7z archive" UNPACK },
	{ 0, MAGIC("!<arch>\n"), NULL, "is an ar archive, as packages and libraries are" UNPACK },
	{ 0, MAGIC("\xed\xab\xee\xdb"), NULL, "is an RPM package" UNPACK },

	/* Disks and file systems. */
	{ 0, MAGIC("QFI\xfb"), NULL, "is a qcow2 disk image" RAW },
	{ 0, MAGIC("KDMV"), NULL, "is a VMDK disk image" RAW },
	{ 0, MAGIC("COWD"), NULL, "is a VMDK disk image" RAW },
	{ 0, MAGIC("# Disk DescriptorFile"), NULL, "is a VMDK disk image" RAW },
	{ 0, MAGIC("vhdxfile"), NULL, "is a VHDX disk image" RAW },
	{ 0, MAGIC("conectix"), NULL, "is a VHD disk image" RAW },
	{ -512, MAGIC("conectix"), NULL, "is a VHD disk image" RAW },
	{ 0x40, MAGIC("\x7f\x10\xda\xbe"), NULL, "is a VDI disk image" RAW },
	{ 0x200, MAGIC("EFI PART"), NULL, "is a disk with a partition table (GPT)" AS_DISK },
	{ 0x8001, MAGIC("CD001"), NULL, "is an ISO 9660 file system" AS_DISK },
	{ 0, MAGIC("hsqs"), NULL, "is a squashfs file system" AS_DISK },
	{ 0x400, MAGIC("\xe2\xe1\xf5\xe0"), NULL, "is an EROFS file system" AS_DISK },
	{ 0, MAGIC("XFSB"), NULL, "is an XFS file system" AS_DISK },
	{ 0x10040, MAGIC("_BHRfS_M"), NULL, "is a Btrfs file system" AS_DISK },
	/* s_magic, which is short, with s_rev_level and s_first_ino. */
	{ 0x438, MAGIC("\x53\xef\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\x0b\0\0\0"),
	  "\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\0\0\0\0\xff\xff\xff\xff",
	  "is an ext2, ext3 or ext4 file system" AS_DISK },

	/* Any interpreter by an absolute name in lower case. */
	{ 0, MAGIC("#!/```"), "\xff\xff\xff\xe0\xe0\xe0", "is a script" },
	{ 0, MAGIC("#! /``"), "\xff\xff\xff\xff\xe0\xe0", "is a script" },
};

static bool matches(const struct foreign *foreign, const uint8_t *bytes)
{
	for (size_t i = 0; i < foreign->length; i++) {
		const uint8_t mask = foreign->mask ? foreign->mask[i] : 0xff;

		if ((bytes[i] ^ (uint8_t)foreign->magic[i]) & mask)
			return false;
	}
	return true;
}

/* Whether length bytes at place are within the size bytes at offset. */
static bool is_within(uint64_t place, size_t length, uint64_t offset, size_t size)
{
	return place >= offset && length <= size && place - offset <= size - length;
}

const char *foreign_find(const uint8_t *part, size_t size, uint64_t offset, uint64_t file_size)
{
	for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
		const struct foreign *foreign = &list[i];
		/* The end of a file that is smaller is not in sight. */
		const uint64_t place = foreign->offset < 0 ? file_size + foreign->offset
							   : (uint64_t)foreign->offset;

		if (is_within(place, foreign->length, offset, size) &&
		    matches(foreign, part + (place - offset)))
			return foreign->complaint;
	}
	return NULL;
}
