// What Node's own server costs before anybody is authenticated.
import { createServer } from "node:http";

createServer((request, response) => {
  response.writeHead(200, { "content-type": "text/plain" });
  response.end("hello");
}).listen(Number(process.env.BENCH_PORT), "127.0.0.1");
