import { readdirSync, readFileSync } from 'node:fs'
import type { Client } from 'pg'

const tickUs = 10_000

/** CPU of the whole server so far, those of its processes included that have ended. Undefined where there is no /proc. */
export async function readServerCpuUs(admin: Client): Promise<number | undefined> {
  if (process.platform !== 'linux') return undefined
  const { rows } = await admin.query('select pg_backend_pid() as pid')
  const postmaster = fieldsOf(String(rows[0].pid))[1] ?? ''
  for (;;) {
    const ended = endedTicks(postmaster)
    const own = fieldsOf(postmaster)
    let ticks = Number(own[11]) + Number(own[12]) + ended
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      const fields = fieldsOf(pid)
      if (fields[1] === postmaster) ticks += Number(fields[11]) + Number(fields[12])
    }
    // One that ended meanwhile may be counted twice or not at all.
    if (Object.is(endedTicks(postmaster), ended)) return ticks * tickUs
  }
}

/** Of its children that it has waited for. */
const endedTicks = (pid: string) => Number(fieldsOf(pid)[13]) + Number(fieldsOf(pid)[14])

/** After the name: state, parent, … */
function fieldsOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')
  } catch {
    return [] // It has ended.
  }
}
