// As the top of a bitstream: it needs cells that a simulator does not have, and that nobody simulates.
module top;
    PS7 ps7 ();
    BUFG bufg ();
    engine engine ();
endmodule
