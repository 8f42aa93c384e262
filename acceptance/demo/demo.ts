/** `npm run demo`: a third party, five customers and an attacker against the running sandbox. `--trace` shows every request. */
import { launchBrowser } from '../browser/launch-browser.ts'
import { readSandbox, SandboxNotRunning, sandboxHome } from '../sandbox/description.ts'
import { httpsFetch } from '../third-party/https-fetch.ts'
import { accountsScene } from './accounts-scene.ts'
import { attackerScene } from './attacker-scene.ts'
import { bankApiScene } from './bank-api-scene.ts'
import { paymentScene } from './payment-scene.ts'
import type { Reader } from './reader.ts'
import { firstNameOf, type Stage, setStage } from './stage.ts'
import { type Story, tellStory } from './story.ts'
import { takingBackScene } from './taking-back-scene.ts'
import { tillScene } from './till-scene.ts'

/** Whatever hangs, this ends. */
const demoTakesAtMostMs = 180_000

process.exitCode = await main(process.argv.slice(2))

async function main(flags: readonly string[]): Promise<number> {
  const unknown = flags.find((flag) => flag !== '--trace')
  if (unknown !== undefined)
    return complain(`There is no ${unknown}. “npm run demo” tells the story, “npm run demo -- --trace” shows every request.`)
  const watchdog = setTimeout(() => process.exit(complain(`The demo did not end within ${demoTakesAtMostMs / 1000} s.`)), demoTakesAtMostMs)
  try {
    const home = sandboxHome()
    const sandbox = readSandbox(home)
    await httpsFetch({ caFile: sandbox.ca_file })(`${sandbox.issuer}/.well-known/openid-configuration`, { method: 'GET' }).catch(
      (cause: unknown) => {
        throw new SandboxNotRunning(
          `The sandbox of ${home} does not answer at ${sandbox.issuer}. Start it with “npm start” and leave it running, then try again.`,
          { cause },
        )
      },
    )
    const traced = flags.includes('--trace')
    const story = tellStory({ announce: traced })
    const browser = await launchBrowser()
    try {
      await play(setStage(sandbox, home, browser, story, traced), story)
    } finally {
      await browser.close()
    }
    return story.end() ? 0 : 1
  } catch (error) {
    if (error instanceof SandboxNotRunning) return complain(error.message)
    throw error
  } finally {
    clearTimeout(watchdog)
  }
}

async function play(stage: Stage, story: Story): Promise<void> {
  const { payer, payee, bankCustomer } = stage.cast
  const readers: { payer?: Reader; payee?: Reader } = {}
  story.title(`Bankside at ${stage.sandbox.issuer}: ${stage.sandbox.clients.length} clients, ${stage.sandbox.customers.length} customers`)
  await story.scene(`Accounts, with DPoP: ${firstNameOf(payer)} shares two accounts`, async (scene) => {
    readers.payer = await accountsScene(stage, scene, { clientId: 'tpp-pkjwt-dpop', person: payer, share: 2 })
  })
  await story.scene(`Accounts, with mTLS: ${firstNameOf(payee)} shares one`, async (scene) => {
    readers.payee = await accountsScene(stage, scene, { clientId: 'tpp-tls-mtls', person: payee, share: 1 })
  })
  await story.scene(`A payment: ${firstNameOf(payer)} pays ${firstNameOf(payee)}`, async (scene) => {
    await paymentScene(stage, scene, { payer: needed(readers.payer), payee: needed(readers.payee) })
  })
  await story.scene(`At a till: ${firstNameOf(payee)} is asked, and answers elsewhere (CIBA)`, async (scene) => {
    await tillScene(stage, scene, { customer: payee, shop: payer })
  })
  await story.scene(
    `The bank’s own API: ${firstNameOf(bankCustomer)} uses the bank’s app`,
    async (scene) => await bankApiScene(stage, scene),
  )
  await story.scene(`Taking it back: ${firstNameOf(payer)} stops the third party`, async (scene) => {
    await takingBackScene(stage, scene, needed(readers.payer))
  })
  await story.scene('The attacker: everything is refused, or wins once of eight', async (scene) => {
    await attackerScene(stage, scene, needed(readers.payee))
  })
}

function needed(reader: Reader | undefined): Reader {
  if (reader === undefined) throw new Error('this part needs the accounts that were shared before')
  return reader
}

function complain(text: string): number {
  process.stderr.write(`${text}\n`)
  return 1
}
