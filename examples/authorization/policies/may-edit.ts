import { defineRule, z } from 'gatewright';

export default defineRule({
  name: 'mayEdit',
  summary: 'Lets editors pass, and owners to what is theirs.',
  options: z.strictObject({ editors: z.string().describe('The group of those who may edit everything.') }),
  allows({ params, method }, { consumer }, { editors }) {
    if (consumer === null) return 'nobody who is configured';
    if (consumer.groups.includes(editors) || consumer.name === params['owner']) return true;
    return method === 'GET' || 'neither an editor nor the owner';
  },
});
