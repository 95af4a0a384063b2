// SPDX-License-Identifier: GPL-2.0-only
//! A virtual machine monitor for arm64 in one file: memory, one vCPU, and a program of three instructions.

use std::ffi::{c_int, c_ulong, c_void};
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};
use std::ptr;

extern "C" {
    fn ioctl(fd: c_int, request: c_ulong, ...) -> c_int;
    fn mmap(address: *mut c_void, length: usize, protection: c_int, flags: c_int, fd: c_int, offset: i64)
        -> *mut c_void;
}

const KVM_CREATE_VM: c_ulong = 0xae01;
const KVM_GET_VCPU_MMAP_SIZE: c_ulong = 0xae04;
const KVM_CREATE_VCPU: c_ulong = 0xae41;
const KVM_SET_USER_MEMORY_REGION: c_ulong = 0x4020_ae46;
const KVM_RUN: c_ulong = 0xae80;
const KVM_SET_ONE_REG: c_ulong = 0x4010_aeac;
const KVM_ARM_VCPU_INIT: c_ulong = 0x4020_aeae;
const KVM_ARM_PREFERRED_TARGET: c_ulong = 0x8020_aeaf;
const REGISTER_PC: u64 = 0x6030_0000_0010_0040;
const EXIT_MMIO: u32 = 6;

const RAM: u64 = 0x4000_0000;
const DEVICE: u64 = 0x0900_0000;

/// What a guest wrote to a device: where, and what.
#[derive(Debug, PartialEq)]
pub struct Write {
    pub address: u64,
    pub value: u32,
}

fn check(result: c_int) -> std::io::Result<c_int> {
    if result < 0 {
        Err(std::io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

fn map(length: usize, fd: c_int) -> *mut u8 {
    let (read_write, shared, anonymous) = (3, 1, 0x20);
    let flags = if fd < 0 { shared | anonymous } else { shared };
    unsafe { mmap(ptr::null_mut(), length, read_write, flags, fd, 0).cast() }
}

/// Runs a program until it writes to a device.
pub fn run(program: &[u32]) -> std::io::Result<Write> {
    let kvm = File::options().read(true).write(true).open("/dev/kvm")?;
    unsafe {
        let vm = File::from_raw_fd(check(ioctl(kvm.as_raw_fd(), KVM_CREATE_VM, 0))?);
        let ram = map(0x10000, -1);
        ptr::copy_nonoverlapping(program.as_ptr(), ram.cast(), program.len());
        let region: [u64; 4] = [0, RAM, 0x10000, ram as u64];
        check(ioctl(vm.as_raw_fd(), KVM_SET_USER_MEMORY_REGION, &region))?;

        let vcpu = File::from_raw_fd(check(ioctl(vm.as_raw_fd(), KVM_CREATE_VCPU, 0))?);
        let mut target = [0u32; 8];
        check(ioctl(vm.as_raw_fd(), KVM_ARM_PREFERRED_TARGET, &mut target))?;
        check(ioctl(vcpu.as_raw_fd(), KVM_ARM_VCPU_INIT, &target))?;
        let pc = RAM;
        let register = [REGISTER_PC, &pc as *const u64 as u64];
        check(ioctl(vcpu.as_raw_fd(), KVM_SET_ONE_REG, &register))?;

        let size = check(ioctl(kvm.as_raw_fd(), KVM_GET_VCPU_MMAP_SIZE, 0))?;
        let state = map(size as usize, vcpu.as_raw_fd());
        check(ioctl(vcpu.as_raw_fd(), KVM_RUN, 0))?;
        let reason: u32 = *state.add(8).cast();
        assert_eq!(reason, EXIT_MMIO);
        Ok(Write { address: *state.add(32).cast(), value: *state.add(40).cast() })
    }
}

/// mov x0, #DEVICE; mov w1, #42; str w1, [x0]
const PROGRAM: [u32; 3] = [0xd2a1_2000, 0x5280_0541, 0xb900_0001];

fn main() -> std::io::Result<()> {
    println!("{:x?}", run(&PROGRAM)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_comes_out() {
        assert_eq!(run(&PROGRAM).unwrap(), Write { address: DEVICE, value: 42 });
    }
}
