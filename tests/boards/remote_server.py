"""A stand-in for the PYNQ.remote server of a board: files, registers and buffers by gRPC, over an EmulatedZynq."""
from __future__ import annotations

from concurrent import futures
from typing import Any

import grpc
import numpy as np
from pynq.remote import buffer_pb2, buffer_pb2_grpc, mmio_pb2, mmio_pb2_grpc, remote_device_pb2, remote_device_pb2_grpc

MANAGER = "/sys/class/fpga_manager/fpga0/"


class Files(remote_device_pb2_grpc.RemoteDeviceServicer):
    """The board's files; a name written to the FPGA manager configures the logic."""

    def __init__(self, device: Any) -> None:
        self.device, self.programmed, self.sent = device, [], []
        self.files = {"/proc/version": b"Linux version 5.15.19-xilinx (arm-linux-gnueabihf-gcc) armv7l\n",
                      "/proc/device-tree/chosen/pynq_board": b"Pynq-Z1\0", MANAGER + "state": b"operating\n",
                      MANAGER + "flags": b"0\n", MANAGER + "name": b"Xilinx Zynq FPGA Manager\n"}

    def existsfile(self, request: Any, context: Any) -> Any:
        return remote_device_pb2.ExistsFileResponse(exists=request.file_path in self.files)

    def readfile(self, request: Any, context: Any) -> Any:
        data = self.files[request.file_path]
        for first in range(0, max(len(data), 1), 1 << 21):
            yield remote_device_pb2.ReadFileResponse(data=data[first:first + (1 << 21)])

    def writefile(self, requests: Any, context: Any) -> Any:
        path, data = "", b""
        for request in requests:
            path, data = request.file_path, data + request.data
        self.files[path] = data
        self.sent.append(path)
        if path == MANAGER + "firmware":
            self.programmed.append(self.files["/lib/firmware/" + data.decode()])
            self.device.program()
        return remote_device_pb2.WriteFileResponse()

    def set_bitstream_attrs(self, request: Any, context: Any) -> Any:
        return remote_device_pb2.SetBitstreamAttrsResponse(status=True)


class Mmio(mmio_pb2_grpc.MmioServicer):
    """Registers; `calls` counts what came over the network."""

    def __init__(self, device: Any) -> None:
        self.device, self.windows, self.calls = device, {}, 0

    def get_mmio(self, request: Any, context: Any) -> Any:
        try:
            window = self.device.mmap(request.base_addr, request.length)
        except RuntimeError as error:
            return mmio_pb2.GetMmioResponse(msg=str(error))
        name = str(len(self.windows))
        self.windows[name] = window
        return mmio_pb2.GetMmioResponse(status=True, mmio_id=name)

    def read(self, request: Any, context: Any) -> Any:
        self.calls += 1
        return mmio_pb2.ReadResponse(status=True, data=self.windows[request.mmio_id][request.offset // 4])

    def write(self, request: Any, context: Any) -> Any:
        self.calls += 1
        for place, word in enumerate(np.frombuffer(request.data, "<u4").tolist()):
            self.windows[request.mmio_id][request.offset // 4 + place] = word
        return mmio_pb2.WriteResponse(status=True)


class Buffers(buffer_pb2_grpc.RemoteBufferServicer):
    """Contiguous memory; write and read move the processor's bytes, flush and invalidate the caches."""

    def __init__(self, device: Any) -> None:
        self.device, self.live = device, {}

    def allocate(self, request: Any, context: Any) -> Any:
        buffer = self.device.pool.allocate(request.size, np.uint8)
        name = hex(buffer.device_address)
        self.live[name] = buffer
        return buffer_pb2.AllocateResponse(buffer_id=name)

    def write(self, requests: Any, context: Any) -> Any:
        first = 0
        for request in requests:
            self.live[request.buffer_id][first:first + len(request.data)] = np.frombuffer(request.data, np.uint8)
            first += len(request.data)
        return buffer_pb2.BufferWriteResponse()

    def read(self, request: Any, context: Any) -> Any:
        yield buffer_pb2.BufferReadResponse(data=self.live[request.buffer_id].tobytes())

    def flush(self, request: Any, context: Any) -> Any:
        self.live[request.buffer_id].flush()
        return buffer_pb2.FlushResponse()

    def invalidate(self, request: Any, context: Any) -> Any:
        self.live[request.buffer_id].invalidate()
        return buffer_pb2.InvalidateResponse()

    def physical_address(self, request: Any, context: Any) -> Any:
        return buffer_pb2.AddressResponse(address=self.live[request.buffer_id].device_address)

    def freebuffer(self, request: Any, context: Any) -> Any:
        del self.live[request.buffer_id]
        return buffer_pb2.FreeBufferResponse()


class RemoteServer:
    """Serves an EmulatedZynq on loopback, on a port of its own, until `stop`."""

    def __init__(self, device: Any) -> None:
        self.files, self.mmio, self.buffers = Files(device), Mmio(device), Buffers(device)
        self._server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))  # a bus has one access at a time
        remote_device_pb2_grpc.add_RemoteDeviceServicer_to_server(self.files, self._server)
        mmio_pb2_grpc.add_MmioServicer_to_server(self.mmio, self._server)
        buffer_pb2_grpc.add_RemoteBufferServicer_to_server(self.buffers, self._server)
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def stop(self) -> None:
        self._server.stop(0).wait()
