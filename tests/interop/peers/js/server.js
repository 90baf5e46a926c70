// grpc.testing.TestService on grpc-js, by the interop test descriptions.
//   server.js --proto FILE --listen HOST:PORT --cert FILE --key FILE --ca FILE --clients require|none --seconds N
'use strict';
const { grpc, options, testing, read, printVersion, UNLIMITED } = require('./common.js');

const o = options();
const api = testing(o.proto);

const sleep = (us) => new Promise((done) => setTimeout(done, Math.ceil(us / 1000)));

// What the client asked to have echoed: the trailing metadata; the initial one is sent.
function echoMetadata(call) {
  const initial = call.metadata.get('x-grpc-test-echo-initial');
  const trailing = call.metadata.get('x-grpc-test-echo-trailing-bin');
  const trailers = new grpc.Metadata();
  if (initial.length > 0) {
    const headers = new grpc.Metadata();
    headers.add('x-grpc-test-echo-initial', initial[0]);
    call.sendMetadata(headers);
  }
  if (trailing.length > 0) {
    trailers.add('x-grpc-test-echo-trailing-bin', trailing[0]);
  }
  return trailers;
}

function wantedStatus(request) {
  const s = request.response_status;
  return s && s.code !== 0 ? { code: s.code, details: s.message } : null;
}

async function answer(call, request) {
  for (const p of request.response_parameters) {
    if (p.interval_us > 0) {
      await sleep(p.interval_us);
    }
    if (call.cancelled) {
      return;
    }
    if (!call.write({ payload: { body: Buffer.alloc(p.size) } })) {
      await new Promise((room) => { call.once('drain', room); call.once('cancelled', room); });
    }
  }
}

const service = {
  EmptyCall: (call, done) => done(null, {}, echoMetadata(call)),
  UnaryCall: (call, done) => {
    const trailers = echoMetadata(call);
    const status = wantedStatus(call.request);
    if (status) {
      done(status);
      return;
    }
    done(null, { payload: { body: Buffer.alloc(call.request.response_size) } }, trailers);
  },
  StreamingOutputCall: async (call) => {
    await answer(call, call.request);
    call.end();
  },
  StreamingInputCall: (call, done) => {
    let sum = 0;
    call.on('data', (request) => { sum += request.payload.body.length; });
    call.on('end', () => done(null, { aggregated_payload_size: sum }));
    call.on('error', () => {});
  },
  FullDuplexCall: (call) => {
    const trailers = echoMetadata(call);
    let turn = Promise.resolve(); // one request after the other
    let over = false;
    call.on('error', () => { over = true; });
    call.on('data', (request) => {
      turn = turn.then(async () => {
        const status = wantedStatus(request);
        if (over) {
          return;
        }
        if (status) {
          over = true;
          call.emit('error', status);
          return;
        }
        await answer(call, request);
      });
    });
    call.on('end', () => { turn = turn.then(() => over || call.end(trailers)); });
  },
};

const server = new grpc.Server(UNLIMITED);
const served = { ...api.TestService.service };
delete served.UnimplementedCall; // declared, not served
server.addService(served, service);
const credentials = grpc.ServerCredentials.createSsl(
  read(o.ca), [{ private_key: read(o.key), cert_chain: read(o.cert) }], o.clients === 'require');
server.bindAsync(o.listen, credentials, (error, port) => {
  if (error) {
    console.error(error.message);
    process.exit(1);
  }
  printVersion();
  console.log(`listening 127.0.0.1:${port}`);
});
setTimeout(() => process.exit(0), Number(o.seconds) * 1000);
