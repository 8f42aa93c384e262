import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { generateSync } from 'otplib'
import type { DemoCustomer } from '../sandbox/description.ts'

const stepSeconds = 30
/** The bank accepts the step before, the current one and the next. */
const acceptedSteps = [-1, 0, 1]
const nextStepTimeoutMs = 95_000

/** What an authenticator knows that a clock does not: which codes were typed already. A bank accepts each of them once. */
export type Authenticator = {
  /** A code not used before, at once or after waiting for the next one. */
  freshCode(customer: DemoCustomer): Promise<string>
  /** How many codes could be typed right now. */
  freshCodes(customer: DemoCustomer): number
  /** The code that was handed out last, for those who want to try it again. */
  lastCode(customer: DemoCustomer): string
}

type Memory = Record<string, number>

export type AuthenticatorOptions = {
  /** Remembers the used codes from one program to the next; without it they are forgotten with the process. */
  readonly memoryFile?: string
  /** Told before waiting. */
  readonly onWait?: (seconds: number) => void
  /** Makes the bank forget the codes it has seen of this customer, so that nobody waits. */
  readonly onNoneLeft?: (customer: DemoCustomer) => Promise<unknown>
}

export function authenticator({ memoryFile, onWait, onNoneLeft }: AuthenticatorOptions = {}): Authenticator {
  const lastStep: Memory = memoryFile && existsSync(memoryFile) ? (JSON.parse(readFileSync(memoryFile, 'utf8')) as Memory) : {}
  const stepNow = () => Math.floor(Date.now() / 1000 / stepSeconds)
  const unused = ({ username }: DemoCustomer) => {
    const now = stepNow()
    return acceptedSteps.map((offset) => now + offset).filter((step) => step > (lastStep[username] ?? 0))
  }
  return {
    freshCodes: (customer) => unused(customer).length,
    lastCode: ({ username, totp_secret }) => codeOf(totp_secret, lastStep[username] ?? stepNow()),
    async freshCode(customer) {
      const deadline = performance.now() + nextStepTimeoutMs
      if (unused(customer).length === 0 && onNoneLeft) {
        await onNoneLeft(customer)
        lastStep[customer.username] = stepNow() - 1
      }
      if (unused(customer).length === 0) onWait?.(stepSeconds - ((Date.now() / 1000) % stepSeconds))
      while (performance.now() < deadline) {
        const [step] = unused(customer)
        if (step !== undefined && !aboutToExpire(step)) {
          lastStep[customer.username] = step
          if (memoryFile) writeFileSync(memoryFile, JSON.stringify(lastStep), { mode: 0o600 })
          return codeOf(customer.totp_secret, step)
        }
        if (step !== undefined) lastStep[customer.username] = step
        else await sleep(250)
      }
      throw new Error(`no fresh code for ${customer.username} in ${nextStepTimeoutMs} ms`)
    },
  }
}

const codeOf = (secret: string, step: number) => generateSync({ secret, epoch: step * stepSeconds })

/** The oldest accepted step ends with the current 30 seconds: too late to type it in the last four. */
function aboutToExpire(step: number): boolean {
  return step < Date.now() / 1000 / stepSeconds - 1 && (Date.now() / 1000) % stepSeconds > stepSeconds - 4
}
