// The interop cases on grpc-js's client.
//   client.js --proto FILE --target HOST:PORT|unix:/PATH --cert FILE --key FILE --ca FILE --cases A,B --calls N --rpcs N --dials N
'use strict';
const assert = require('assert');
const { grpc, options, testing, read, printVersion, UNLIMITED } = require('./common.js');

const o = options();
const api = testing(o.proto);
const GZIP = { 'grpc.default_compression_algorithm': 2, 'grpc.default_compression_level': 2 };
const PLAIN = 2; // write flag: not compressed (grpc.h, GRPC_WRITE_NO_COMPRESS)
const REQUESTS = [27182, 8, 1828, 45904];
const RESPONSES = [31415, 9, 2653, 58979];

function connect(extra = {}, Service = api.TestService) {
  const credentials = o.cert
    ? grpc.credentials.createSsl(read(o.ca), read(o.key), read(o.cert))
    : grpc.credentials.createInsecure();
  return new Service(o.target, credentials, { ...UNLIMITED, 'grpc.use_local_subchannel_pool': 1, ...extra });
}

const client = connect();
const soon = (seconds = 20) => ({ deadline: Date.now() + seconds * 1000 });
const zeros = (n) => ({ body: Buffer.alloc(n) });
const large = () => ({ response_size: 314159, payload: zeros(271828) });
const duplex = (size, requestSize, intervalUs = 0) =>
  ({ response_parameters: [{ size, interval_us: intervalUs }], payload: zeros(requestSize) });

// One unary or client-streaming call: { code, details, answer, initial, trailing }.
function settle(begin) {
  return new Promise((done) => {
    const seen = {};
    const call = begin((error, answer) => { seen.error = error; seen.answer = answer; });
    call.on('metadata', (m) => { seen.initial = m; });
    call.on('status', (s) => done({ ...seen, code: s.code, details: s.details, trailing: s.metadata }));
    seen.call = call;
  });
}

const unary = (request, on = client, metadata = new grpc.Metadata(), how = soon()) =>
  settle((cb) => on.UnaryCall(request, metadata, how, cb));

// A stream: answers, and a promise of its end. onAnswer(stream, index) runs at each answer.
function follow(call, onAnswer = () => {}) {
  const seen = { sizes: [], call };
  call.on('metadata', (m) => { seen.initial = m; });
  call.on('data', (answer) => {
    seen.sizes.push(answer.payload.body.length);
    onAnswer(call, seen.sizes.length);
  });
  call.on('error', () => {});
  seen.end = new Promise((done) => call.on('status', (s) => done({ ...seen, code: s.code, details: s.details, trailing: s.metadata })));
  return seen;
}

const is = (seen, code) => assert.strictEqual(seen.code, code, `status ${seen.code}: ${seen.details}`);

async function largeOn(on) {
  const seen = await unary(large(), on);
  is(seen, 0);
  assert.strictEqual(seen.answer.payload.body.length, 314159);
}

async function statusBothWays(text) {
  const response_status = { code: 2, message: text };
  const one = await unary({ response_status });
  is(one, 2);
  assert.strictEqual(one.details, text);
  const call = client.FullDuplexCall(soon());
  const stream = follow(call);
  call.write({ response_status });
  call.end();
  const end = await stream.end;
  is(end, 2);
  assert.strictEqual(end.details, text);
}

function checkMetadata(seen) {
  assert.deepStrictEqual(seen.initial.get('x-grpc-test-echo-initial'), ['test_initial_metadata_value']);
  assert.deepStrictEqual(seen.trailing.get('x-grpc-test-echo-trailing-bin'), [Buffer.from([0xab, 0xab, 0xab])]);
}

const input = (n, expect) => ({ payload: zeros(n), expect_compressed: { value: expect } });

async function iteration(on) {
  const began = Date.now();
  await largeOn(on);
  assert.ok(Date.now() - began <= 1000, 'an iteration over 1000 ms');
}

const cases = {
  async empty_unary() {
    is(await settle((cb) => client.EmptyCall({}, soon(), cb)), 0);
  },
  large_unary: () => largeOn(client),
  async client_streaming() {
    const seen = await settle((cb) => {
      const call = client.StreamingInputCall(soon(), cb);
      REQUESTS.forEach((n) => call.write({ payload: zeros(n) }));
      call.end();
      return call;
    });
    is(seen, 0);
    assert.strictEqual(seen.answer.aggregated_payload_size, 74922);
  },
  async server_streaming() {
    const end = await follow(client.StreamingOutputCall({ response_parameters: RESPONSES.map((size) => ({ size })) }, soon())).end;
    is(end, 0);
    assert.deepStrictEqual(end.sizes, RESPONSES);
  },
  async ping_pong() {
    const call = client.FullDuplexCall(soon());
    const stream = follow(call, (c, n) => (n < 4 ? c.write(duplex(RESPONSES[n], REQUESTS[n])) : c.end()));
    call.write(duplex(RESPONSES[0], REQUESTS[0]));
    const end = await stream.end;
    is(end, 0);
    assert.deepStrictEqual(end.sizes, RESPONSES);
  },
  async empty_stream() {
    const call = client.FullDuplexCall(soon());
    const stream = follow(call);
    call.end();
    const end = await stream.end;
    is(end, 0);
    assert.strictEqual(end.sizes.length, 0);
  },
  async timeout_on_sleeping_server() {
    const call = client.FullDuplexCall({ deadline: Date.now() + 1 });
    const stream = follow(call);
    call.write(duplex(31415, 27182, 1000000));
    is(await stream.end, 4);
  },
  async cancel_after_begin() {
    is(await settle((cb) => {
      const call = client.StreamingInputCall(soon(), cb);
      setImmediate(() => call.cancel());
      return call;
    }), 1);
  },
  async cancel_after_first_response() {
    const call = client.FullDuplexCall(soon());
    const stream = follow(call, (c) => c.cancel());
    call.write(duplex(31415, 27182));
    is(await stream.end, 1);
  },
  status_code_and_message: () => statusBothWays('test status message'),
  special_status_message: () => statusBothWays('\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \u{1f608}\t\n'),
  async custom_metadata() {
    const metadata = new grpc.Metadata();
    metadata.add('x-grpc-test-echo-initial', 'test_initial_metadata_value');
    metadata.add('x-grpc-test-echo-trailing-bin', Buffer.from([0xab, 0xab, 0xab]));
    const one = await unary(large(), client, metadata);
    is(one, 0);
    checkMetadata(one);
    const call = client.FullDuplexCall(metadata, soon());
    const stream = follow(call);
    call.write(duplex(314159, 271828));
    call.end();
    const end = await stream.end;
    is(end, 0);
    checkMetadata({ ...end, initial: stream.initial });
  },
  async unimplemented_method() {
    is(await settle((cb) => client.UnimplementedCall({}, soon(), cb)), 12);
  },
  async unimplemented_service() {
    const other = connect({}, api.UnimplementedService);
    is(await settle((cb) => other.UnimplementedCall({}, soon(), cb)), 12);
    other.close();
  },
  async client_compressed_unary() {
    const zipped = connect(GZIP);
    is(await unary({ ...large(), expect_compressed: { value: true } }), 3);
    is(await unary({ ...large(), expect_compressed: { value: true } }, zipped), 0);
    is(await unary({ ...large(), expect_compressed: { value: false } }), 0);
    zipped.close();
  },
  async client_compressed_streaming() {
    const zipped = connect(GZIP);
    is(await settle((cb) => {
      const call = client.StreamingInputCall(soon(), cb);
      call.on('error', () => {});
      call.write(input(27182, true));
      call.end();
      return call;
    }), 3);
    const seen = await settle((cb) => {
      const call = zipped.StreamingInputCall(soon(), cb);
      call.write(input(27182, true));
      call.write(input(45904, false), PLAIN);
      call.end();
      return call;
    });
    is(seen, 0);
    assert.strictEqual(seen.answer.aggregated_payload_size, 73086);
    zipped.close();
  },
  async server_compressed_unary() {
    for (const value of [true, false]) {
      const seen = await unary({ ...large(), response_compressed: { value } });
      is(seen, 0);
      assert.strictEqual(seen.answer.payload.body.length, 314159);
    }
  },
  async server_compressed_streaming() {
    const response_parameters = [{ size: 31415, compressed: { value: true } }, { size: 92653, compressed: { value: false } }];
    const end = await follow(client.StreamingOutputCall({ response_parameters }, soon())).end;
    is(end, 0);
    assert.deepStrictEqual(end.sizes, [31415, 92653]);
  },
  async concurrent_large_unary() {
    const request = large();
    const all = Array.from({ length: Number(o.calls) }, () => unary(request, client, new grpc.Metadata(), soon(120)));
    for (const seen of await Promise.all(all)) {
      is(seen, 0);
      assert.strictEqual(seen.answer.payload.body.length, 314159);
    }
  },
  async rpc_soak() {
    for (let i = 0; i < Number(o.rpcs); i++) {
      await iteration(client);
    }
  },
  async channel_soak() {
    for (let i = 0; i < Number(o.dials); i++) {
      const on = connect();
      await iteration(on);
      on.close();
    }
  },
};

async function main() {
  let failed = 0;
  printVersion();
  for (const name of o.cases.split(',')) {
    try {
      await cases[name]();
      console.log(`pass ${name}`);
    } catch (why) {
      failed++;
      console.log(`fail ${name}: ${why.message.split('\n')[0]}`);
    }
  }
  process.exit(failed === 0 ? 0 : 1);
}

main();
