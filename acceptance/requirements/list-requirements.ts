/** `npm run requirements`: writes the state of every row of the checklists to docs/requirements.md. Ends with status 1 while one is open. */
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { checklistsMissing, requirementIds } from './requirement-rows.ts'
import { renderRequirements, requirementStates } from './requirement-states.ts'
import { testedRequirements } from './tested-requirements.ts'

const written = path.join(import.meta.dirname, '../../docs/requirements.md')

if (checklistsMissing !== undefined) {
  process.stderr.write(`${checklistsMissing}: nothing was written.\n`)
  process.exitCode = 1
} else {
  const states = requirementStates(requirementIds(), await testedRequirements())
  const open = states.filter(({ state }) => state === 'open').map(({ id }) => id)
  writeFileSync(written, renderRequirements(states))
  process.stdout.write(
    `${states.length} rows, ${open.length} open${open.length > 0 ? `: ${open.join(' ')}` : ''}. Written to docs/requirements.md.\n`,
  )
  process.exitCode = open.length > 0 ? 1 : 0
}
