"""A board behind PYNQ.remote: pynq's own RemoteDevice against a stand-in server on loopback."""
from __future__ import annotations

import gc
import logging

import lfc
import numpy as np
import offload
import oracle
import pytest

pytest.importorskip("pynq", reason="needs the real pynq package: tools/pynq_env.sh")

from emulated_device import VERSION, EmulatedZynq, active, caches  # noqa: E402

from qnn_pynq.boards import open_board  # noqa: E402
from qnn_pynq.catalogue import cached_path  # noqa: E402
from qnn_pynq.contracts.program import make_program  # noqa: E402
from qnn_pynq.errors import BoardBusyError, BoardError, BusError, DeadlineError  # noqa: E402
from qnn_pynq.families.bnn_pynq.driver import BnnPynqDriver  # noqa: E402

if VERSION < (3, 1):
    pytest.skip("PYNQ.remote came with pynq 3.1", allow_module_level=True)

from pynq.pl_server.remote_device import RemoteDevice  # noqa: E402
from remote_server import RemoteServer  # noqa: E402

pytestmark = [pytest.mark.pynq, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


class Filling(RemoteDevice):
    """As users have it, but for the clocks that pynq 4 cannot set on a Zynq-7000."""

    def get_bitfile_metadata(self, bitfile_name, partial=False):
        parser = super().get_bitfile_metadata(bitfile_name, partial)
        for number, clock in enumerate(parser.clock_dict.values()):
            clock["frequency"] = EmulatedZynq._frequency(bitfile_name, number)
        return parser


@pytest.fixture
def circuit():
    return lfc.tiny()


@pytest.fixture
def there(circuit):
    """The board at the other end."""
    made = EmulatedZynq(circuit)
    yield made
    made.close()


@pytest.fixture
def server(there):
    made = RemoteServer(there)
    yield made
    made.stop()


@pytest.fixture
def device(server):
    with active((Filling if VERSION >= (4, 0) else RemoteDevice)(0, "127.0.0.1", server.port)) as made:
        yield made
        made.client.channel.close()


def test_a_driver_runs_on_a_remote_board(board, there, server, circuit, fetched):
    assert board.remote and board.name == "Pynq-Z1" and not board.emulated
    net, values = lfc.network(circuit, seed=3), lfc.bits(40, 64)
    driver = BnnPynqDriver(board, circuit, capacity=64)
    driver.load(net)
    assert board.clock_mhz == 100.0 and there.slcr[0x170] != 0
    assert np.array_equal(lfc.run(driver, values), oracle.lfc_words(net.layers, values))
    board.reset()
    driver.load(net)
    assert np.array_equal(lfc.run(driver, values[:9]), oracle.lfc_words(net.layers, values[:9]))
    driver.close()
    gc.collect()
    assert not server.buffers.live


def test_a_program_gets_time_for_the_network_beside_the_circuits(board, there, server, circuit, fetched, monkeypatch):
    board.configure(circuit)
    registers = board.ip(circuit.ip.name)
    registers.run_program(make_program([(0, 0x48, 1), (0, 0x10, 3), (1, 0, 4), (0, 0x14, 5)]), 0.001)
    assert [there.twin.read(offset) for offset in (0x10, 0x14)] == [3, 5]
    assert registers.read(0x10) == 3 and not registers.mapped
    with pytest.raises(DeadlineError, match="step 0 of 1"):
        registers.run_program(make_program([(1, 0x10, 4)]), 0.05)


def test_loads_of_other_boards_from_this_machine_do_not_disturb(board, circuit, fetched):
    board.configure(circuit)
    for path in caches():
        if path.endswith(".json"):
            with open(path, "w") as file:
                file.write("{}")
    assert board.loaded == circuit


def test_addresses_are_the_buffers_own_and_read_once(board, there, server):
    buffer = board.allocate((4, 1024), np.uint8)
    assert buffer.device_address in there.pool.live
    buffer.array[:] = 3
    buffer.array[1] = 4
    buffer.flush(1024)
    assert there.pool.memory.read(buffer.device_address, 4096).reshape(4, 1024)[:, 0].tolist() == [3, 4, 3, 3]
    there.pool.memory.write(buffer.device_address + 8, np.full(8, 9, np.uint8))
    buffer.invalidate(16)
    assert buffer.array[0, :17].tolist() == [3] * 8 + [9] * 8 + [3]


def test_a_file_of_our_name_on_the_board_that_is_not_ours_is_replaced(board, server, circuit, fetched, caplog):
    """pynq sends a bitstream only where no file of its name is there."""
    caplog.set_level(logging.WARNING, "qnn_pynq")
    path = "/lib/firmware/" + circuit.files["bitstream"].name.replace(".bit", ".bin")
    server.files.files[path] = b"an old version"
    board.configure(circuit)
    from pynq.pl_server.embedded_device import bit2bin

    wanted = bit2bin(cached_path(circuit, circuit.files["bitstream"]).read_bytes())
    assert server.files.programmed == [wanted] and "is not" in caplog.text
    before = server.files.sent.count(path)
    board.reset()
    assert server.files.sent.count(path) == before and server.files.programmed == [wanted] * 2


def test_the_remote_kernels_state_is_asked(board, server, circuit, fetched):
    server.files.files["/sys/class/fpga_manager/fpga0/state"] = b"write error\n"
    with pytest.raises(BoardError, match="'write error'"):
        board.configure(circuit)


def test_a_connection_that_breaks_is_a_bus_error_and_not_a_hang(board, server, circuit, fetched):
    board.configure(circuit)
    registers = board.ip(circuit.ip.name)
    server.stop()
    with pytest.raises(BusError, match=r"register 0x0 failed \(.*UNAVAILABLE"):
        registers.read(0)
    with pytest.raises(BusError, match="cannot be used since"):
        registers.write(0x10, 1)


def test_two_boards_of_one_address_are_one(board, device):
    with pytest.raises(BoardBusyError, match="remote_127_0_0_1"):
        open_board("zynq", device=device)


def test_interrupts_do_not_come_over_the_network(board, circuit, fetched):
    board.configure(circuit)
    assert board.interrupt_line(circuit.ip.name) is None
    assert board.wait(circuit.ip.name, (0, 4), 1.0) == 4


def test_dorefa_net_on_a_remote_board(golden, fetched_offload):
    """Layer by layer: some hundred calls an image, where the other family needs 100,000 for its weights."""
    there = EmulatedZynq(fetched_offload)
    server = RemoteServer(there)
    made = (Filling if VERSION >= (4, 0) else RemoteDevice)(0, "127.0.0.1", server.port)
    with active(made), open_board("zynq", device=made) as board:
        from qnn_pynq.families.qnn_mo.driver import QnnMoDriver

        net = offload.dorefa_net()
        driver = QnnMoDriver(board, fetched_offload)
        driver.load(net)
        before = server.mmio.calls
        maps = offload.codes(driver, 1)
        found = offload.run(driver, maps)
        assert server.mmio.calls - before < 400
        import oracle_conv

        assert np.array_equal(found, oracle_conv.forward(net.layers, maps))
        driver.close()
    made.client.channel.close()
    server.stop()
