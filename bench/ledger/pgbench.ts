import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import pg from 'pg'
import type { Stopping } from '../processes/stopping.ts'
import { asAdmin, inDatabase } from './ledger-database.ts'

export type TpcB = {
  /** What ran it. */
  readonly by: string
  readonly name: string
  readonly run: (
    script: 'tpcb' | 'select',
    seconds: number,
    clients: number,
  ) => Promise<{ readonly perSecond: number; readonly operations: number; readonly cpuUs: number }>
}

/** As the manual of pgbench asks: at least as many branches as clients, or they would wait for each other. */
const scale = 50

/** The default script of pgbench, on a database of its own on the same server. */
export async function prepareTpcB(adminUrl: string, stopping: Stopping): Promise<TpcB> {
  const name = `bench_tpcb_${randomBytes(4).toString('hex')}`
  await asAdmin(adminUrl, (admin) => admin.query(`create database ${name}`))
  stopping.push(() => asAdmin(adminUrl, (admin) => admin.query(`drop database if exists ${name} with (force)`)))
  const url = inDatabase(adminUrl, name)
  const version = await promisify(execFile)('pgbench', ['--version']).then(
    ({ stdout }) => stdout.trim(),
    () => undefined,
  )
  await asAdmin(url, initialise)
  if (version === undefined)
    return {
      by: 'the same script through pg (pgbench is not installed)',
      name,
      run: (script, seconds, clients) => runThroughPg(url, script, seconds, clients),
    }
  return { by: version, name, run: (script, seconds, clients) => runPgbench(url, script, seconds, clients) }
}

/** What `pgbench -i` makes, without needing it. */
async function initialise(owner: pg.Client): Promise<void> {
  await owner.query(`
    create table pgbench_branches (bid int not null, bbalance int, filler char(88)) with (fillfactor = 100);
    create table pgbench_tellers (tid int not null, bid int, tbalance int, filler char(84)) with (fillfactor = 100);
    create table pgbench_accounts (aid int not null, bid int, abalance int, filler char(84)) with (fillfactor = 100);
    create table pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
    insert into pgbench_branches select n, 0 from generate_series(1, ${scale}) n;
    insert into pgbench_tellers select n, (n - 1) / 10 + 1, 0 from generate_series(1, ${scale} * 10) n;
    insert into pgbench_accounts select n, (n - 1) / 100000 + 1, 0, '' from generate_series(1, ${scale} * 100000) n;
    alter table pgbench_branches add primary key (bid);
    alter table pgbench_tellers add primary key (tid);
    alter table pgbench_accounts add primary key (aid)`)
  await owner.query('vacuum analyze pgbench_branches, pgbench_tellers, pgbench_accounts, pgbench_history')
  await owner.query('checkpoint')
}

async function runPgbench(url: string, script: 'tpcb' | 'select', seconds: number, clients: number) {
  const { hostname, port, username, password, pathname } = new URL(url)
  const args = [
    '-n',
    '-h',
    hostname,
    '-p',
    port,
    '-U',
    username,
    '-c',
    String(clients),
    '-j',
    '2',
    '-T',
    String(Math.max(1, Math.round(seconds))),
  ]
  const child = spawn('pgbench', [...args, ...(script === 'select' ? ['-S'] : []), pathname.slice(1)], {
    env: { ...process.env, PGPASSWORD: decodeURIComponent(password) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk))
  let cpuUs = 0
  const sampling = setInterval(() => (cpuUs = Math.max(cpuUs, ticksOf(child.pid ?? 0) * 10_000)), 100)
  const code = await new Promise<number | null>((done, failed) => child.once('close', done).once('error', failed))
  clearInterval(sampling)
  const perSecond = Number(/tps = ([\d.]+)/.exec(output)?.[1])
  const operations = Number(/transactions actually processed: (\d+)/.exec(output)?.[1])
  if (code !== 0 || !(perSecond > 0)) throw new Error(`pgbench ended with ${code}: ${output.slice(-2_000)}`)
  return { perSecond, operations, cpuUs }
}

/** User and system time of a process, in hundredths of a second. */
function ticksOf(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')
    return Number(fields[11]) + Number(fields[12])
  } catch {
    return 0 // It has ended, or there is no /proc here.
  }
}

const random = (limit: number) => 1 + Math.floor(Math.random() * limit)

async function runThroughPg(url: string, script: 'tpcb' | 'select', seconds: number, clients: number) {
  const connections = await Promise.all(
    Array.from({ length: clients }, async () => {
      const client = new pg.Client(url)
      await client.connect()
      return client
    }),
  )
  const cpuBefore = process.cpuUsage()
  const started = performance.now()
  let operations = 0
  await Promise.all(
    connections.map(async (client) => {
      while (performance.now() - started < seconds * 1000) {
        await (script === 'tpcb'
          ? transaction(client)
          : client.query(`select abalance from pgbench_accounts where aid = ${random(scale * 100_000)}`))
        operations++
      }
    }),
  )
  const elapsedMs = performance.now() - started
  const { user, system } = process.cpuUsage(cpuBefore)
  await Promise.all(connections.map((client) => client.end()))
  return { perSecond: (operations * 1000) / elapsedMs, operations, cpuUs: user + system }
}

async function transaction(client: pg.Client): Promise<void> {
  const [aid, bid, tid, delta] = [random(scale * 100_000), random(scale), random(scale * 10), random(10_001) - 5_001]
  await client.query('begin')
  await client.query(`update pgbench_accounts set abalance = abalance + ${delta} where aid = ${aid}`)
  await client.query(`select abalance from pgbench_accounts where aid = ${aid}`)
  await client.query(`update pgbench_tellers set tbalance = tbalance + ${delta} where tid = ${tid}`)
  await client.query(`update pgbench_branches set bbalance = bbalance + ${delta} where bid = ${bid}`)
  await client.query(
    `insert into pgbench_history (tid, bid, aid, delta, mtime) values (${tid}, ${bid}, ${aid}, ${delta}, current_timestamp)`,
  )
  await client.query('end')
}
