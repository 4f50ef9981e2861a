"""Adds to each answer which guardrails the proxy in front said that the request gets."""

from litellm.integrations.custom_logger import CustomLogger


class Given(CustomLogger):
    async def async_post_call_success_hook(self, data, user_api_key_dict, response):
        headers = data["proxy_server_request"]["headers"]
        given = [value for name, value in headers.items() if name.lower() == "x-refguard-guardrails"]
        said = f"; given {' AND '.join(given)};"
        # A request for several models has a list of answers.
        for answer in response if isinstance(response, list) else [response]:
            for choice in answer.choices:
                if hasattr(choice, "message"):
                    choice.message.content += said
                else:
                    choice.text += said
        return response


callback = Given()
