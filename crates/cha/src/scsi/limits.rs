//! Limits of the commands: what hosts are told (SBC-4, 6.6.4) and what is refused.

/// MAXIMUM and OPTIMAL TRANSFER LENGTH: what changes at once, 1 MiB.
pub const TRANSFER_BLOCKS: u32 = 2_048;

/// Longer transfers are carried out all the same, up to here (8 MiB): in parts, one after another.
pub const TRANSFER_BLOCKS_MOST: u32 = 16_384;

/// MAXIMUM ATOMIC TRANSFER LENGTH of WRITE ATOMIC.
pub const ATOMIC_BLOCKS: u32 = TRANSFER_BLOCKS;

/// MAXIMUM COMPARE AND WRITE LENGTH.
pub const COMPARE_BLOCKS: u8 = 255;

/// MAXIMUM UNMAP LBA COUNT, of all descriptors together: 512 MiB.
pub const UNMAP_BLOCKS: u32 = 1 << 20;

/// MAXIMUM UNMAP BLOCK DESCRIPTOR COUNT.
pub const UNMAP_DESCRIPTORS: u32 = 256;

/// MAXIMUM WRITE SAME LENGTH: 16 MiB.
pub const WRITE_SAME_BLOCKS: u32 = 32_768;

/// What PRE-FETCH brings into the cache, at most.
pub const PREFETCH_BLOCKS: u32 = TRANSFER_BLOCKS_MOST;

/// Sessions at all targets together.
pub const NEXUSES: usize = 1_024;

/// EXTENDED COPY: copy target descriptors.
pub const COPY_TARGETS: u16 = 128;

/// EXTENDED COPY: segment descriptors.
pub const COPY_SEGMENTS: u16 = 1_024;

/// EXTENDED COPY: bytes of all descriptors.
pub const COPY_LIST_BYTES: u32 = 65_536;

/// EXTENDED COPY: results that are kept for one initiator at one logical unit.
pub const COPY_RESULTS: usize = 16;
