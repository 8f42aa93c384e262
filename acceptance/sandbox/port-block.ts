import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

const portsPerSandbox = 10
/** Below the ports that Linux hands out to outgoing connections. */
const firstPort = 12_000
const lastPort = 30_000
const attempts = 200

/** The first of ten ports that nobody listens on. Between this answer and the start somebody may: then the start says so. */
export async function freePortBlock(): Promise<number> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const base = randomInt(firstPort / portsPerSandbox, lastPort / portsPerSandbox) * portsPerSandbox
    const free = await Promise.all(Array.from({ length: portsPerSandbox }, (_, offset) => isFree(base + offset)))
    if (free.every(Boolean)) return base
  }
  throw new Error('no ten free ports in a row')
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer()
  try {
    probe.listen(port, '127.0.0.1')
    await once(probe, 'listening')
    return true
  } catch {
    return false // EADDRINUSE is the answer that was asked for.
  } finally {
    probe.close()
  }
}
