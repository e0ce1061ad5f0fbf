// Preloaded: no connection can be opened.
const net = require("node:net");

net.Socket.prototype.connect = function () {
  throw new Error("this program tried to open a connection");
};
