/** `npm run ledger:prove`: the proofs of the ledger in their long form. What `npm test` does a slice of. */
import { parseArgs } from 'node:util'
import { openDatabase } from '@bankside/service-kit/postgres'
import { createTestDatabase } from '@bankside/service-kit/test-database'
import { runAmounts } from './run-amounts.ts'
import { runCrashes } from './run-crashes.ts'
import { runModel } from './run-model.ts'

const { values } = parseArgs({
  options: {
    crashes: { type: 'string', default: '1000' },
    amounts: { type: 'string', default: '10000000' },
    runs: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
  },
})
const [crashes, amounts, runs, seed] = [Number(values.crashes), Number(values.amounts), Number(values.runs), Number(values.seed)]
/** All that was written is looked at after each crash: of ten times as many, it would be a hundred times as much. */
const crashesOfOneDatabase = 50
const say = (text: string) => process.stdout.write(`${text}\n`)

if (amounts > 0) {
  const urls = await createTestDatabase()
  const database = await openDatabase(urls.ownerUrl, { maxConnections: 1 })
  await runAmounts(database, { seed, amounts })
  await database.end()
  await urls.drop()
  say(`${amounts.toLocaleString('en-GB')} amounts came out as they went in.`)
}
let accepted = 0
for (let run = 0; run < runs; run++) {
  accepted += (await runModel({ seed: seed + run, movements: 3_000 })).accepted
  if ((run + 1) % 10 === 0) say(`${run + 1} of ${runs} runs agree with the model: ${accepted.toLocaleString('en-GB')} movements accepted`)
}
let [survived, answered, again] = [0, 0, 0]
while (survived < crashes) {
  const rounds = Math.min(crashesOfOneDatabase, crashes - survived)
  const run = await runCrashes(rounds)
  survived += rounds
  answered += run.answered
  again += run.again
  say(`${survived} of ${crashes} crashes: ${answered.toLocaleString('en-GB')} movements answered, ${again} asked again`)
}
if (crashes > 0) say('Nothing lost, nothing twice, the books agree.')
