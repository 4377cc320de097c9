// tests/bench/signal_node.js: a small signalling server on node and its ws package, for signaling-ws to be measured beside.
// Does what one writes first: rooms, JSON parsed and written again with the sender's id, no checks.
//
//     node signal_node.js PORT
const { WebSocketServer } = require("ws");

const rooms = new Map();
let lastId = 0;

function join(ws, name) {
  ws.room = name;
  if (!rooms.has(name)) rooms.set(name, new Set());
  rooms.get(name).add(ws);
  ws.send(JSON.stringify({ type: "welcome", self: { id: ws.id }, peers: [...rooms.get(name)].map((peer) => peer.id) }));
}

function relay(ws, message) {
  message.from = ws.id;
  const text = JSON.stringify(message);
  for (const peer of rooms.get(ws.room)) if (peer !== ws) peer.send(text);
}

function leave(ws) {
  const room = rooms.get(ws.room);
  if (!room) return;
  room.delete(ws);
  if (room.size === 0) rooms.delete(ws.room);
}

const server = new WebSocketServer({ host: "127.0.0.1", port: Number(process.argv[2]), backlog: 4096 });
server.on("connection", (ws) => {
  ws.id = String(++lastId);
  ws.on("message", (data) => {
    const message = JSON.parse(data);
    if (message.type === "join") join(ws, message.room);
    else relay(ws, message);
  });
  ws.on("close", () => leave(ws));
});
