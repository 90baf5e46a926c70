// What both grpc-js peers share: options, the service, the version line. Modules come from NODE_PATH.
'use strict';
const fs = require('fs');
const http2 = require('http2');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

exports.grpc = grpc;

// Node's HTTP/2 session holds 10 MB at most, requests that wait for the peer's stream limit included, and resets calls whose
// answer comes while it holds more. grpc-js lifts that for servers and has no option for clients.
const MEMORY_MB = 4000;
const connect = http2.connect;
http2.connect = (to, how, ...rest) => connect(to, { maxSessionMemory: MEMORY_MB, ...how }, ...rest);

exports.options = () => {
  const out = {};
  for (let i = 2; i + 1 < process.argv.length; i += 2) {
    out[process.argv[i].slice(2)] = process.argv[i + 1];
  }
  return out;
};

exports.testing = (proto) =>
  grpc.loadPackageDefinition(loader.loadSync(proto, { keepCase: true, defaults: true })).grpc.testing;

exports.read = (path) => fs.readFileSync(path);

exports.printVersion = () =>
  console.log(`version @grpc/grpc-js ${require('@grpc/grpc-js/package.json').version} on node ${process.versions.node}`);

exports.UNLIMITED = { 'grpc.max_receive_message_length': 8 << 20, 'grpc.max_send_message_length': 8 << 20, 'grpc.enable_retries': 0 };
