/** `npm run code -- amelia`: what a demo customer's authenticator app shows now. */
import { existsSync, readFileSync } from 'node:fs'
import { totpCode } from '@bankside/bank/customers/totp'
import { systemClock } from '@bankside/service-kit/clock'
import { explain, Problem } from './problem.ts'
import type { SandboxFile } from './sandbox-file.ts'
import { placesIn, readSettings } from './settings.ts'

const stepSeconds = 30

try {
  showCode(process.argv[2])
} catch (error) {
  console.error(explain(error))
  process.exitCode = 1
}

function showCode(username: string | undefined): void {
  const { sandboxFile } = placesIn(readSettings().home)
  if (!existsSync(sandboxFile)) throw new Problem('No sandbox is running here. Start one with: npm start')
  const { customers } = JSON.parse(readFileSync(sandboxFile, 'utf8')) as SandboxFile
  const customer = customers.find((candidate) => candidate.username === username?.toLowerCase())
  if (customer === undefined) {
    const names = customers.slice(0, 5).map((candidate) => candidate.username)
    throw new Problem(`Whose code? npm run code -- ${names.join(' | ')}`)
  }
  const now = systemClock.now()
  const secondsLeft = stepSeconds - (Math.floor(now.getTime() / 1000) % stepSeconds)
  console.log(totpCode(customer.totp_secret, now))
  console.error(`(for ${secondsLeft} more seconds; the bank takes each code once)`)
}
