// Asks a Contexta daemon over gRPC: node client.mjs WORKSPACE runs | compare LEFT RIGHT | follow RUN [--count N]
//
// The messages are read from the .proto files of the repository; CONTEXTA_PROTO names another folder that holds
// contexta/v1.

import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import grpc from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

const USAGE = 'usage: node client.mjs WORKSPACE runs | compare LEFT RIGHT | follow RUN [--count N]'
const PROTOCOL = '1'
const DEADLINE_MS = 30_000
const HERE = dirname(fileURLToPath(import.meta.url))
const PROTO = process.env.CONTEXTA_PROTO ?? join(HERE, '..', '..', 'proto')

const definition = loadSync('contexta/v1/query.proto', { includeDirs: [PROTO], keepCase: true, longs: Number, defaults: true, oneofs: true })
const { v1 } = grpc.loadPackageDefinition(definition).contexta

/** Connect to the daemon that serves a workspace; daemon.json says where, and where its token lies. */
function connect (workspace) {
  const metadata = new grpc.Metadata()
  let found
  try {
    found = JSON.parse(readFileSync(join(workspace, 'daemon', 'daemon.json'), 'utf8'))
    metadata.set('contexta-token', readFileSync(found.token_file, 'utf8').trim())
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
    throw new Error(`No daemon serves ${workspace}. Start one: contexta --workspace ${workspace} daemon start`)
  }
  metadata.set('contexta-protocol', PROTOCOL)
  return { client: new v1.Query(`unix:${found.socket}`, grpc.credentials.createInsecure()), metadata }
}

/** Call a unary method; resolves to its answer. */
function ask ({ client, metadata }, method, request) {
  const options = { deadline: Date.now() + DEADLINE_MS }
  return new Promise((resolve, reject) => {
    client[method](request, metadata, options, (error, answer) => error ? reject(error) : resolve(answer))
  })
}

/** What the daemon says of a failed call: a stable code and a message for people. */
function explained (error) {
  const [bytes] = error.metadata?.get('contexta-error-bin') ?? []
  if (!bytes) return `${error.details ?? error.message} (${grpc.status[error.code]})`
  const said = decodeErrorDetail(bytes)
  return `${said.message} (${said.code})`
}

/** code is field 1 and message field 2 of ErrorDetail, both texts: enough to read without generated code. */
function decodeErrorDetail (bytes) {
  const said = { code: '', message: '' }
  let at = 0
  const varint = () => {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++]
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
  }
  while (at < bytes.length) {
    const tag = varint()
    if ((tag & 7) === 0) { varint(); continue }
    if ((tag & 7) !== 2) break
    const length = varint()
    const text = Buffer.from(bytes.subarray(at, at + length)).toString('utf8')
    if (tag >> 3 === 1) said.code = text
    if (tag >> 3 === 2) said.message = text
    at += length
  }
  return said
}

function table (columns, rows) {
  const shown = [columns, ...rows.map(row => row.map(String))]
  const widths = columns.map((_, place) => Math.max(...shown.map(row => row[place].length)))
  for (const row of shown) console.log(row.map((cell, place) => cell.padEnd(widths[place])).join('  ').trimEnd())
}

async function runs (daemon) {
  const { runs } = await ask(daemon, 'ListRuns', {})
  table(['run', 'status', 'started', 'metrics'],
    runs.map(run => [run.run_id, run.status, run.started_at.slice(0, 19), run.metric_count]))
}

async function compare (daemon, left, right) {
  if (!left || !right) throw new Error(`compare takes two runs\n${USAGE}`)
  const found = await ask(daemon, 'CompareRuns', { left_run_id: left, right_run_id: right })
  console.log(`${found.left_run_id} -> ${found.right_run_id}: ${found.summary}\n`)
  const rows = found.stage_comparisons.flatMap(stage => stage.metric_deltas.map(each =>
    [stage.stage_name, each.metric_key, number(each, 'left_value'), number(each, 'right_value'), number(each, 'delta')]))
  table(['stage', 'metric', 'left', 'right', 'change'], rows)
}

/** An optional number is there when `_name` names it. */
function number (message, name) {
  return message[`_${name}`] === name ? message[name].toPrecision(6) : '-'
}

/** Print records as they become durable, until `count` of them came, or for ever. */
function follow (daemon, run, option, count) {
  const wrong = option !== undefined && (option !== '--count' || !(Number(count) > 0))
  if (!run || wrong) throw new Error(`follow takes a run, and how many records\n${USAGE}`)
  const stream = daemon.client.Tail({ filter: { run_id: run }, from_start: true }, daemon.metadata)
  let left = count ? Number(count) : Infinity
  return new Promise((resolve, reject) => {
    stream.on('data', page => {
      for (const record of page.records) {
        if (left-- <= 0) break
        const value = record.value ? record[record.value] : record.message
        console.log(`${record.observed_at} ${record.key} ${value}`)
      }
      if (left <= 0) { stream.cancel(); resolve() }
    })
    stream.on('end', resolve)
    stream.on('error', error => error.code === grpc.status.CANCELLED ? resolve() : reject(error))
  })
}

const [workspace, command, ...rest] = process.argv.slice(2)
const commands = { runs, compare, follow }
if (!workspace || !commands[command]) {
  console.error(USAGE)
  process.exit(2)
}
try {
  const daemon = connect(workspace)
  await commands[command](daemon, ...rest)
  daemon.client.close()
} catch (error) {
  console.error(`contexta: ${error.code !== undefined && error.metadata ? explained(error) : error.message}`)
  process.exit(1)
}
